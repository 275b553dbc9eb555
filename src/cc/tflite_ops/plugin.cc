// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The two functions by which load_delegate, benchmark_model and C++ programs find the delegate in
// the shared library.
#include <cstddef>
#include <cstdio>

#include "tflite_ops/delegate.h"

#if defined(_WIN32)
#define DETOPS_EXPORT __declspec(dllexport)
#else
#define DETOPS_EXPORT __attribute__((visibility("default")))
#endif

extern "C" {

DETOPS_EXPORT TfLiteDelegate* tflite_plugin_create_delegate(const char* const* option_keys,
                                                            const char* const* /*option_values*/,
                                                            size_t num_options,
                                                            void (*report_error)(const char*)) {
  const char* error = nullptr;
  char message[160];
  // Python passes a 32-bit count through this 64-bit parameter: only the low half is defined.
  if (static_cast<int>(num_options) > 0) {
    std::snprintf(message, sizeof(message),
                  "detops: unknown delegate option \"%.80s\", expected none", option_keys[0]);
    error = message;
  }
  TfLiteDelegate* delegate = error == nullptr ? detops::CreateDelegate() : nullptr;
  if (delegate == nullptr && report_error != nullptr) {
    report_error(error != nullptr ? error : "detops: no memory for the delegate");
  }
  return delegate;
}

DETOPS_EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  detops::DestroyDelegate(delegate);
}

}  // extern "C"
