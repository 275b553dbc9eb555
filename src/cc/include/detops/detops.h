/* SPDX-FileCopyrightText: 2026 The detops authors
 * SPDX-License-Identifier: Apache-2.0 */

/* libdetops: TFLite_Detection_PostProcess on raw buffers, and in every TFLite runtime.
 *
 * C99 and C++11. What holds for all functions unless they say otherwise:
 *
 * Ownership   What a create function gives is freed by its destroy function, which takes NULL too.
 *             Everything else that is passed in stays the caller's and is read or written only
 *             during the call.
 * Threads     Functions may be called from any thread at any time. One object serves one call at a
 *             time; different objects do not share anything.
 * Allocation  Create functions, detops_decode_boxes and detops_nms allocate and free with malloc.
 *             Run functions do not allocate.
 * Alignment   Inputs may lie at any address; outputs are aligned as their C type.
 * Overlap     Outputs overlap neither inputs nor each other; nobody else writes them meanwhile.
 * Errors      A function that can fail returns a status. If it is not DETOPS_OK, nothing was made
 *             or written, and message, when it is not NULL, holds one line that says what was
 *             wrong, where, what it got and what it expected, cut to message_bytes and always
 *             terminated. With DETOPS_OK it is "". No function throws, exits or prints.
 * Pointers    NULL where a pointer is required is DETOPS_INVALID with its name; buffers without
 *             elements may be NULL. Sizes of buffers follow from the shapes and are the caller's
 *             promise.
 */
#ifndef DETOPS_DETOPS_H_
#define DETOPS_DETOPS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DETOPS_SHARED is defined by the CMake package for users of the shared library. */
#if defined(_WIN32)
#if defined(DETOPS_BUILDING)
#define DETOPS_API __declspec(dllexport)
#elif defined(DETOPS_SHARED)
#define DETOPS_API __declspec(dllimport)
#else
#define DETOPS_API
#endif
#else
#define DETOPS_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0". Static storage. */
DETOPS_API const char* detops_version(void);

typedef enum detops_status {
  DETOPS_OK = 0,
  DETOPS_INVALID = 1,   /* an argument; the message names it */
  DETOPS_NO_MEMORY = 2, /* an allocation failed */
} detops_status;

/* Enough for the messages of all faults that are found at once. */
#define DETOPS_MESSAGE_BYTES 1024

/* Types of tensors, with the numbers that TFLite and LiteRT have for them. */
#ifdef __cplusplus
/* Any number may be looked at, also one that is none of these. */
typedef enum detops_type : int32_t {
#else
typedef enum detops_type {
#endif
  DETOPS_FLOAT32 = 1,
  DETOPS_UINT8 = 3,
  DETOPS_INT8 = 9,
} detops_type;

#define DETOPS_MAX_RANK 4

/* A dense tensor without its data. An 8-bit value q stands for (q - zero_point) * scale; scale and
 * zero_point of float32 are not looked at. */
typedef struct detops_tensor {
  detops_type type;
  int32_t rank;
  int32_t dims[DETOPS_MAX_RANK];
  float scale;
  int32_t zero_point;
} detops_tensor;

/* ---------------------------------------------------------------- the op on raw buffers ------- */

/* The options of TFLite_Detection_PostProcess, under their names in the file. */
typedef struct detops_options {
  int32_t num_classes;               /* foreground classes; scores may have one column more, the
                                        background, in front */
  int32_t max_detections;            /* 0 or more */
  int32_t max_classes_per_detection; /* 1 or more; fast mode: classes reported for each box kept */
  int32_t detections_per_class;      /* 1 or more; regular mode: the limit for each class */
  bool use_regular_nms;              /* false: fast mode, one suppression over anchors by their best
                                        class; true: one within each class */
  float nms_score_threshold;         /* candidates need score >= this */
  float nms_iou_threshold;           /* IoU > this is suppressed; in (0, 1] */
  float y_scale, x_scale, h_scale, w_scale; /* of the box encodings; not 0 */
} detops_options;

/* Sets the values of the usual SSD export: 10 detections, 1 class each, 100 for each class, fast
 * mode, thresholds 0 and 0.6, scales 10, 10, 5, 5. num_classes stays 0 and has to be set. */
DETOPS_API void detops_options_init(detops_options* options);

/* Reads the option block of a node of a .tflite file, any bytes. Absent keys get what the op gives
 * them, mostly 0. */
DETOPS_API detops_status detops_options_parse(const void* block, size_t block_bytes,
                                              detops_options* options, char* message,
                                              size_t message_bytes);

/* The whole op for one set of shapes: bit for bit what the stock op gives on one thread, and int8
 * and batches beside it. */
typedef struct detops_postprocessor detops_postprocessor;

/* Checks everything that does not depend on data, and allocates all that a run needs.
 *   box_encodings  [batch, anchors, 4 or more]: y, x, h, w, columns past 4 are skipped
 *   scores         [batch, anchors, num_classes], or num_classes + 1 with the background first
 *   anchors        [anchors, 4]: centre y, centre x, height, width
 * each float32, uint8 or int8. The environment variable DETOPS_ISA may name an instruction set. */
DETOPS_API detops_status detops_postprocessor_create(const detops_options* options,
                                                     const detops_tensor* box_encodings,
                                                     const detops_tensor* scores,
                                                     const detops_tensor* anchors,
                                                     detops_postprocessor** postprocessor,
                                                     char* message, size_t message_bytes);

DETOPS_API void detops_postprocessor_destroy(detops_postprocessor* postprocessor);

/* M, the detections of one image: max_detections * max_classes_per_detection. */
DETOPS_API int32_t detops_postprocessor_slots(const detops_postprocessor* postprocessor);

/* The batch size that it was made for. */
DETOPS_API int32_t detops_postprocessor_batch(const detops_postprocessor* postprocessor);

/* Post-processes a batch. Does not allocate, and fails only for a NULL.
 *   boxes    float [batch, M, 4]: ymin, xmin, ymax, xmax, in the units of the anchors
 *   classes  float [batch, M]: from 0, the background not counted
 *   scores   float [batch, M], descending within an image
 *   counts   float [batch]: how many of the M are detections; the rest is zero */
DETOPS_API detops_status detops_postprocessor_run(detops_postprocessor* postprocessor,
                                                  const void* box_encodings,
                                                  const void* score_values, const void* anchors,
                                                  float* boxes, float* classes, float* scores,
                                                  float* counts, char* message,
                                                  size_t message_bytes);

/* ---------------------------------------------------------------- its parts ------------------- */

/* Turns all box encodings into corners as the op does.
 *   scales  y, x, h, w
 *   boxes   float [batch, anchors, 4]: ymin, xmin, ymax, xmax */
DETOPS_API detops_status detops_decode_boxes(const detops_tensor* box_encodings,
                                             const void* box_encoding_values,
                                             const detops_tensor* anchors,
                                             const void* anchor_values, const float scales[4],
                                             float* boxes, char* message, size_t message_bytes);

/* Greedy non-maximum suppression, by score descending, index ascending. NaN scores and boxes of
 * negative size are dropped; IoU equal to the threshold survives.
 *   boxes           float [count, 4]: ymin, xmin, ymax, xmax
 *   scores          float [count]
 *   classes         int32 [count], in [0, num_classes): boxes of different classes do not suppress
 *                   each other; NULL, with num_classes 1, for one class
 *   kept            room for min(count, max_detections) indices, written best first
 *   num_kept        how many were written */
DETOPS_API detops_status detops_nms(const float* boxes, const float* scores, const int32_t* classes,
                                    int32_t count, int32_t num_classes, float score_threshold,
                                    float iou_threshold, int32_t max_detections, int64_t* kept,
                                    int32_t* num_kept, char* message, size_t message_bytes);

/* ---------------------------------------------------------------- TFLite, LiteRT interpreters - */

struct TfLiteRegistration;
struct TfLiteDelegate;

#define DETOPS_OP_NAME "TFLite_Detection_PostProcess"
#define DETOPS_OP_VERSION 1

/* The op for a resolver: resolver.AddCustom(DETOPS_OP_NAME, detops_registration(),
 * DETOPS_OP_VERSION). It replaces what the resolver has under that name. Static storage: never
 * freed, shared by all interpreters. */
DETOPS_API const struct TfLiteRegistration* detops_registration(void);

/* A delegate that takes every TFLite_Detection_PostProcess node of a graph, and the DEQUANTIZE
 * nodes in front of it that feed nothing else, so that it reads the 8-bit tensors. For interpreters
 * whose resolver is out of reach: TfLiteInterpreterOptionsAddDelegate, before other delegates. It
 * may serve many interpreters and be destroyed before or after them; only after them where another
 * delegate freezes the graph, because a runtime then asks all delegates again when inputs are
 * resized. NULL when there is no memory.
 * The shared library also exports tflite_plugin_create_delegate and tflite_plugin_destroy_delegate,
 * for load_delegate and benchmark_model. */
DETOPS_API struct TfLiteDelegate* detops_delegate_create(void);
DETOPS_API void detops_delegate_destroy(struct TfLiteDelegate* delegate);

/* ---------------------------------------------------------------- LiteRT CompiledModel -------- */

/* The op as a custom op kernel of LiteRT 2. detops/litert.hpp wraps this with LiteRT's own types.
 *
 * LiteRT tells a kernel the shapes of its inputs, and in a run their types, but no quantisation:
 * inputs are taken for float32 unless detops_litert_kernel_set_input says otherwise. It does not
 * look at what a kernel returns either. So a fault found while it prepares gives the outputs a
 * shape that LiteRT refuses, and one found in a run gives zero detections; both are told by
 * detops_litert_kernel_message.
 *
 * One kernel serves one node of one compiled model at a time, and must outlive that model. */
typedef struct detops_litert_kernel detops_litert_kernel;

/* Functions of the LiteRT library that runs the model, cast to these types:
 * LiteRtGetTensorBufferTensorType, LiteRtLockTensorBuffer, LiteRtUnlockTensorBuffer. */
typedef struct detops_litert_functions {
  int (*get_tensor_type)(void* tensor_buffer, void* ranked_tensor_type);
  int (*lock)(void* tensor_buffer, void** host_memory, int mode);
  int (*unlock)(void* tensor_buffer);
} detops_litert_functions;

DETOPS_API detops_status detops_litert_kernel_create(const detops_litert_functions* functions,
                                                     detops_litert_kernel** kernel, char* message,
                                                     size_t message_bytes);

DETOPS_API void detops_litert_kernel_destroy(detops_litert_kernel* kernel);

/* Says the type and quantisation of input 0 (box encodings), 1 (scores) or 2 (anchors). Before the
 * model is compiled: a kernel that is prepared goes on as it is until it is prepared again. */
DETOPS_API detops_status detops_litert_kernel_set_input(detops_litert_kernel* kernel, int32_t input,
                                                        detops_type type, float scale,
                                                        int32_t zero_point, char* message,
                                                        size_t message_bytes);

/* A LiteRtCustomOpKernel, for LiteRtAddCustomOpKernelOption(options, DETOPS_OP_NAME,
 * DETOPS_OP_VERSION, <this>, kernel). Static storage. */
DETOPS_API const void* detops_litert_kernel_interface(void);

/* What went wrong in the last preparation or run, or "". The text is the kernel's, valid until its
 * next use. For NULL: that there was no memory for a kernel. */
DETOPS_API const char* detops_litert_kernel_message(const detops_litert_kernel* kernel);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DETOPS_DETOPS_H_ */
