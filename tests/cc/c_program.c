/* SPDX-FileCopyrightText: 2026 The detops authors
 * SPDX-License-Identifier: Apache-2.0 */

/* What a C99 program does with the public header. Returns how often it was wrong. */
#include <stddef.h>
#include <string.h>

#include "detops/detops.h"

int detops_c_program(void);

int detops_c_program(void) {
  const detops_tensor boxes = {DETOPS_FLOAT32, 3, {1, 1, 4}, 0.0f, 0};
  const detops_tensor scores = {DETOPS_UINT8, 3, {1, 1, 1}, 1.0f / 256, 0};
  const detops_tensor anchors = {DETOPS_FLOAT32, 2, {1, 4}, 0.0f, 0};
  const float encodings[4] = {0, 0, 0, 0};
  const float anchor_values[4] = {0.5f, 0.5f, 1, 1};
  const unsigned char score_values[1] = {128};
  float out_boxes[40], out_classes[10], out_scores[10], count;
  char message[DETOPS_MESSAGE_BYTES];
  detops_postprocessor* postprocessor = NULL;
  detops_options options;
  int wrong = 0;

  detops_options_init(&options);
  wrong += detops_postprocessor_create(&options, &boxes, &scores, &anchors, &postprocessor, message,
                                       sizeof(message)) != DETOPS_INVALID;
  wrong += strstr(message, "num_classes is 0") == NULL || postprocessor != NULL;
  options.num_classes = 1;
  wrong += detops_postprocessor_create(&options, &boxes, &scores, &anchors, &postprocessor, message,
                                       sizeof(message)) != DETOPS_OK;
  wrong += detops_postprocessor_run(postprocessor, encodings, score_values, anchor_values,
                                    out_boxes, out_classes, out_scores, &count, message,
                                    sizeof(message)) != DETOPS_OK;
  wrong += count != 1 || out_scores[0] != 0.5f || out_boxes[2] != 1.0f;
  detops_postprocessor_destroy(postprocessor);
  return wrong;
}
