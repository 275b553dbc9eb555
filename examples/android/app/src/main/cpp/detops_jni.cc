// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The functions of NativeDetops.kt. Kotlin hands over handles that are 0 once closed and locks
// around their use; everything else that comes in is checked here.
#include <jni.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <new>

#include "detops/detops.h"

namespace {

constexpr int kInputs = 3;
const char* const kInputNames[kInputs] = {"boxEncodings", "scores", "anchors"};

struct Session {
  detops_postprocessor* postprocessor = nullptr;
  int64_t elements[kInputs] = {};
  int64_t element_bytes[kInputs] = {};
};

// The exception is thrown when the function that called this returns to Java.
[[gnu::format(printf, 3, 4)]] void Throw(JNIEnv* env, const char* type, const char* format, ...) {
  char message[DETOPS_MESSAGE_BYTES];
  va_list values;
  va_start(values, format);
  std::vsnprintf(message, sizeof(message), format, values);
  va_end(values);
  // Null, with an exception of its own, when there is not even memory for that.
  if (jclass found = env->FindClass(type)) env->ThrowNew(found, message);
}

constexpr char kArgument[] = "java/lang/IllegalArgumentException";
constexpr char kState[] = "java/lang/IllegalStateException";
constexpr char kMemory[] = "java/lang/OutOfMemoryError";

// False, with an exception, if the array is null or of another length.
bool CheckLength(JNIEnv* env, const char* name, jarray array, int64_t expected) {
  if (array == nullptr) {
    Throw(env, kArgument, "%s is null", name);
    return false;
  }
  const jsize length = env->GetArrayLength(array);
  if (length == expected) return true;
  Throw(env, kArgument, "%s has %d elements, expected %lld", name, static_cast<int>(length),
        static_cast<long long>(expected));
  return false;
}

bool ReadType(JNIEnv* env, int input, jint type, detops_tensor* tensor) {
  switch (type) {
    case DETOPS_FLOAT32: tensor->type = DETOPS_FLOAT32; return true;
    case DETOPS_UINT8: tensor->type = DETOPS_UINT8; return true;
    case DETOPS_INT8: tensor->type = DETOPS_INT8; return true;
    default: break;
  }
  Throw(env, kArgument, "the type of %s is %d, expected 1 (float32), 3 (uint8) or 9 (int8)",
        kInputNames[input], static_cast<int>(type));
  return false;
}

bool ReadShape(JNIEnv* env, int input, jobjectArray shapes, detops_tensor* tensor) {
  const auto shape = static_cast<jintArray>(env->GetObjectArrayElement(shapes, input));
  if (shape == nullptr) {
    Throw(env, kArgument, "the shape of %s is null", kInputNames[input]);
    return false;
  }
  // One dimension too many stays visible in the rank, which is then refused.
  tensor->rank = env->GetArrayLength(shape);
  const jsize read = tensor->rank < DETOPS_MAX_RANK ? tensor->rank : DETOPS_MAX_RANK;
  env->GetIntArrayRegion(shape, 0, read, tensor->dims);
  return true;
}

bool ReadTensors(JNIEnv* env, jintArray types, jobjectArray shapes, jfloatArray scales,
                 jintArray zero_points, detops_tensor* tensors) {
  if (!CheckLength(env, "types", types, kInputs) || !CheckLength(env, "shapes", shapes, kInputs) ||
      !CheckLength(env, "scales", scales, kInputs) ||
      !CheckLength(env, "zeroPoints", zero_points, kInputs)) {
    return false;
  }
  jint type[kInputs], zero_point[kInputs];
  jfloat scale[kInputs];
  env->GetIntArrayRegion(types, 0, kInputs, type);
  env->GetFloatArrayRegion(scales, 0, kInputs, scale);
  env->GetIntArrayRegion(zero_points, 0, kInputs, zero_point);
  for (int i = 0; i < kInputs; ++i) {
    tensors[i] = {};
    if (!ReadType(env, i, type[i], &tensors[i]) || !ReadShape(env, i, shapes, &tensors[i])) {
      return false;
    }
    tensors[i].scale = scale[i];
    tensors[i].zero_point = zero_point[i];
  }
  return true;
}

// Null, with an exception, if the handle is closed.
Session* SessionOf(JNIEnv* env, jlong handle) {
  if (handle == 0) Throw(env, kState, "the postprocessor is closed");
  return reinterpret_cast<Session*>(handle);
}

// The start of a direct buffer. Null, with an exception, if it holds less than the input's shape.
const void* ReadInput(JNIEnv* env, const Session& session, int input, jobject buffer) {
  const char* name = kInputNames[input];
  if (buffer == nullptr) {
    Throw(env, kArgument, "%s is null", name);
    return nullptr;
  }
  const void* start = env->GetDirectBufferAddress(buffer);
  const jlong capacity = env->GetDirectBufferCapacity(buffer);
  if (start == nullptr || capacity < 0) {
    Throw(env, kArgument, "%s is not a direct buffer, expected ByteBuffer.allocateDirect", name);
    return nullptr;
  }
  // A product of three dimensions fits, its bytes may not.
  if (session.elements[input] <= capacity / session.element_bytes[input]) return start;
  Throw(env, kArgument, "%s holds %lld bytes, expected %lld elements of %lld bytes", name,
        static_cast<long long>(capacity), static_cast<long long>(session.elements[input]),
        static_cast<long long>(session.element_bytes[input]));
  return nullptr;
}

// A Java array that is written when this goes.
class Output {
 public:
  Output(JNIEnv* env, const char* name, jfloatArray array, int64_t length)
      : env_(env), array_(array) {
    if (CheckLength(env, name, array, length)) {
      values_ = env->GetFloatArrayElements(array, nullptr);
    }
  }
  ~Output() {
    if (values_ != nullptr) env_->ReleaseFloatArrayElements(array_, values_, 0);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Null, with an exception, if the array does not fit.
  jfloat* values() const { return values_; }

 private:
  JNIEnv* env_;
  jfloatArray array_;
  jfloat* values_ = nullptr;
};

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_detops_example_NativeDetops_delegateCreate(JNIEnv* env, jobject) {
  TfLiteDelegate* delegate = detops_delegate_create();
  if (delegate == nullptr) Throw(env, kMemory, "no memory for a delegate");
  return reinterpret_cast<jlong>(delegate);
}

JNIEXPORT void JNICALL Java_detops_example_NativeDetops_delegateDestroy(JNIEnv*, jobject,
                                                                        jlong delegate) {
  detops_delegate_destroy(reinterpret_cast<TfLiteDelegate*>(delegate));
}

JNIEXPORT jlong JNICALL Java_detops_example_NativeDetops_postprocessorCreate(
    JNIEnv* env, jobject, jint num_classes, jint max_detections, jint max_classes_per_detection,
    jint detections_per_class, jboolean use_regular_nms, jfloat score_threshold,
    jfloat iou_threshold, jfloatArray box_scales, jintArray types, jobjectArray shapes,
    jfloatArray scales, jintArray zero_points) {
  detops_tensor tensors[kInputs];
  if (!CheckLength(env, "boxScales", box_scales, 4) ||
      !ReadTensors(env, types, shapes, scales, zero_points, tensors)) {
    return 0;
  }
  jfloat yxhw[4];
  env->GetFloatArrayRegion(box_scales, 0, 4, yxhw);
  const detops_options options = {num_classes,
                                  max_detections,
                                  max_classes_per_detection,
                                  detections_per_class,
                                  use_regular_nms != JNI_FALSE,
                                  score_threshold,
                                  iou_threshold,
                                  yxhw[0],
                                  yxhw[1],
                                  yxhw[2],
                                  yxhw[3]};
  auto* session = new (std::nothrow) Session;
  if (session == nullptr) {
    Throw(env, kMemory, "no memory for a postprocessor");
    return 0;
  }
  char message[DETOPS_MESSAGE_BYTES];
  const detops_status status =
      detops_postprocessor_create(&options, &tensors[0], &tensors[1], &tensors[2],
                                  &session->postprocessor, message, sizeof(message));
  if (status != DETOPS_OK) {
    delete session;
    Throw(env, status == DETOPS_NO_MEMORY ? kMemory : kArgument, "%s", message);
    return 0;
  }
  for (int i = 0; i < kInputs; ++i) {
    session->element_bytes[i] = tensors[i].type == DETOPS_FLOAT32 ? 4 : 1;
    session->elements[i] = 1;
    for (int d = 0; d < tensors[i].rank; ++d) session->elements[i] *= tensors[i].dims[d];
  }
  return reinterpret_cast<jlong>(session);
}

JNIEXPORT jint JNICALL Java_detops_example_NativeDetops_postprocessorBatch(JNIEnv* env, jobject,
                                                                           jlong postprocessor) {
  const Session* session = SessionOf(env, postprocessor);
  return session == nullptr ? 0 : detops_postprocessor_batch(session->postprocessor);
}

JNIEXPORT jint JNICALL Java_detops_example_NativeDetops_postprocessorSlots(JNIEnv* env, jobject,
                                                                           jlong postprocessor) {
  const Session* session = SessionOf(env, postprocessor);
  return session == nullptr ? 0 : detops_postprocessor_slots(session->postprocessor);
}

JNIEXPORT void JNICALL Java_detops_example_NativeDetops_postprocessorRun(
    JNIEnv* env, jobject, jlong postprocessor, jobject box_encodings, jobject scores,
    jobject anchors, jfloatArray boxes, jfloatArray classes, jfloatArray detection_scores,
    jfloatArray counts) {
  const Session* session = SessionOf(env, postprocessor);
  if (session == nullptr) return;
  const jobject buffers[kInputs] = {box_encodings, scores, anchors};
  const void* inputs[kInputs];
  for (int i = 0; i < kInputs; ++i) {
    inputs[i] = ReadInput(env, *session, i, buffers[i]);
    if (inputs[i] == nullptr) return;
  }
  const int64_t batch = detops_postprocessor_batch(session->postprocessor);
  const int64_t all = batch * detops_postprocessor_slots(session->postprocessor);
  // One after the other: nothing may be called while an exception is on its way.
  const Output out_boxes(env, "boxes", boxes, all * 4);
  if (out_boxes.values() == nullptr) return;
  const Output out_classes(env, "classes", classes, all);
  if (out_classes.values() == nullptr) return;
  const Output out_scores(env, "detectionScores", detection_scores, all);
  if (out_scores.values() == nullptr) return;
  const Output out_counts(env, "counts", counts, batch);
  if (out_counts.values() == nullptr) return;
  char message[DETOPS_MESSAGE_BYTES];
  if (detops_postprocessor_run(session->postprocessor, inputs[0], inputs[1], inputs[2],
                               out_boxes.values(), out_classes.values(), out_scores.values(),
                               out_counts.values(), message, sizeof(message)) != DETOPS_OK) {
    Throw(env, kArgument, "%s", message);
  }
}

JNIEXPORT void JNICALL Java_detops_example_NativeDetops_postprocessorDestroy(JNIEnv*, jobject,
                                                                             jlong postprocessor) {
  auto* session = reinterpret_cast<Session*>(postprocessor);
  if (session == nullptr) return;
  detops_postprocessor_destroy(session->postprocessor);
  delete session;
}

}  // extern "C"
