// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

package detops.example

import org.tensorflow.lite.Delegate

/**
 * Gives an interpreter the op of detops: `Interpreter.Options().addDelegate(DetopsDelegate())`.
 *
 * It takes every TFLite_Detection_PostProcess of the model and the DEQUANTIZE nodes in front of it.
 * Add it before other delegates. It may serve many interpreters, and be closed before or after them.
 */
class DetopsDelegate : Delegate {
    private var handle = NativeDetops.delegateCreate()

    @Synchronized
    override fun getNativeHandle(): Long {
        check(handle != 0L) { "the delegate is closed" }
        return handle
    }

    @Synchronized
    override fun close() {
        NativeDetops.delegateDestroy(handle)
        handle = 0L
    }
}
