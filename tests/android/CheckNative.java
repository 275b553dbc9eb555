// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

package detops.example;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Properties;

/**
 * Calls detops_jni.cc as Kotlin does: the cases in the folders that are named on the command line,
 * whose outputs it writes beside the inputs, then calls that must fail, of which it prints what was
 * thrown.
 */
final class CheckNative {
    private static final NativeDetops NATIVE = NativeDetops.INSTANCE;

    public static void main(String[] folders) throws IOException {
        for (String folder : folders) {
            runCase(Path.of(folder));
        }
        failOnPurpose();
        long delegate = NATIVE.delegateCreate();
        System.out.println("delegate: " + (delegate != 0));
        NATIVE.delegateDestroy(delegate);
        NATIVE.delegateDestroy(0);
        NATIVE.postprocessorDestroy(0);
    }

    private static void runCase(Path folder) throws IOException {
        Properties given = new Properties();
        try (var lines = Files.newBufferedReader(folder.resolve("case.properties"))) {
            given.load(lines);
        }
        int[] limits = ints(given, "limits");
        float[] thresholds = floats(given, "thresholds");
        int[][] shapes = {ints(given, "shape0"), ints(given, "shape1"), ints(given, "shape2")};
        long handle =
                NATIVE.postprocessorCreate(
                        limits[0], limits[1], limits[2], limits[3],
                        Boolean.parseBoolean(given.getProperty("regular")),
                        thresholds[0], thresholds[1], floats(given, "box_scales"),
                        ints(given, "types"), shapes, floats(given, "scales"),
                        ints(given, "zero_points"));
        int batch = NATIVE.postprocessorBatch(handle);
        int all = batch * NATIVE.postprocessorSlots(handle);
        float[][] outputs = {
            new float[all * 4], new float[all], new float[all], new float[batch]
        };
        NATIVE.postprocessorRun(
                handle, read(folder, "input0"), read(folder, "input1"), read(folder, "input2"),
                outputs[0], outputs[1], outputs[2], outputs[3]);
        NATIVE.postprocessorDestroy(handle);
        for (int i = 0; i < outputs.length; i++) {
            ByteBuffer bytes = direct(outputs[i].length * 4);
            bytes.asFloatBuffer().put(outputs[i]);
            byte[] content = new byte[bytes.capacity()];
            bytes.get(content);
            Files.write(folder.resolve("output" + i), content);
        }
    }

    private static void failOnPurpose() {
        int[] types = {1, 3, 1};
        int[][] shapes = {{1, 5, 4}, {1, 5, 2}, {5, 4}};
        tell("no classes", () -> create(0, new float[4], types, shapes));
        tell("null box scales", () -> create(2, null, types, shapes));
        tell("three box scales", () -> create(2, new float[3], types, shapes));
        tell("null types", () -> create(2, usualScales(), null, shapes));
        tell("unknown type", () -> create(2, usualScales(), new int[] {1, 7, 1}, shapes));
        tell("null shapes", () -> create(2, usualScales(), types, null));
        tell("two shapes", () -> create(2, usualScales(), types, Arrays.copyOf(shapes, 2)));
        tell("null shape", () -> create(2, usualScales(), types, new int[3][]));
        int[][] flat = {{1, 5, 4}, {1, 5, 2}, {20}};
        tell("rank 1 anchors", () -> create(2, usualScales(), types, flat));
        int[][] deep = {{1, 1, 1, 1, 5, 4}, {1, 5, 2}, {5, 4}};
        tell("rank 6 boxes", () -> create(2, usualScales(), types, deep));
        int[][] huge = {{1, 1 << 30, 4}, {1, 1 << 30, 2}, {1 << 30, 4}};
        tell("huge", () -> create(2, usualScales(), types, huge));

        long handle = create(2, usualScales(), types, shapes);
        ByteBuffer boxes = direct(80);
        ByteBuffer scores = direct(10);
        tell("closed run", () -> run(0, boxes, scores, direct(80), 40));
        tell("closed batch", () -> NATIVE.postprocessorBatch(0));
        tell("closed slots", () -> NATIVE.postprocessorSlots(0));
        tell("null boxes", () -> run(handle, null, scores, direct(80), 40));
        tell("heap anchors", () -> run(handle, boxes, scores, ByteBuffer.allocate(80), 40));
        tell("short scores", () -> run(handle, boxes, direct(9), direct(80), 40));
        tell("short boxes", () -> run(handle, direct(79), scores, direct(80), 40));
        tell("short output", () -> run(handle, boxes, scores, direct(80), 39));
        tell("null output", () -> run(handle, boxes, scores, direct(80), -1));
        tell("nothing", () -> run(handle, boxes, scores, direct(80), 40));
        NATIVE.postprocessorDestroy(handle);
    }

    private static float[] usualScales() {
        return new float[] {10, 10, 5, 5};
    }

    private static long create(int classes, float[] boxScales, int[] types, int[][] shapes) {
        float[] scales = {0, 0.00390625f, 0};
        return NATIVE.postprocessorCreate(
                classes, 10, 1, 100, false, 0, 0.6f, boxScales, types, shapes, scales, new int[3]);
    }

    private static void run(
            long handle, ByteBuffer boxes, ByteBuffer scores, ByteBuffer anchors, int length) {
        float[] found = length < 0 ? null : new float[length];
        NATIVE.postprocessorRun(
                handle, boxes, scores, anchors, found, new float[10], new float[10], new float[1]);
    }

    private static void tell(String name, Runnable call) {
        try {
            call.run();
            System.out.println(name + ": no exception");
        } catch (RuntimeException | OutOfMemoryError thrown) {
            System.out.println(name + ": " + thrown);
        }
    }

    private static ByteBuffer read(Path folder, String name) throws IOException {
        byte[] content = Files.readAllBytes(folder.resolve(name));
        ByteBuffer buffer = direct(content.length);
        buffer.put(content);
        return buffer;
    }

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }

    private static int[] ints(Properties given, String name) {
        return Arrays.stream(given.getProperty(name).split(" "))
                .mapToInt(Integer::parseInt)
                .toArray();
    }

    private static float[] floats(Properties given, String name) {
        String[] words = given.getProperty(name).split(" ");
        float[] values = new float[words.length];
        for (int i = 0; i < words.length; i++) {
            values[i] = Float.parseFloat(words[i]);
        }
        return values;
    }
}
