// SPDX-License-Identifier: Apache-2.0
/* Queues with packed rings: see virtq_harness.h. */
#include "virtq_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	virtq_harness_run(true, data, size);
	return 0;
}
