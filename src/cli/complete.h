// SPDX-License-Identifier: Apache-2.0
/*
 * `evb __complete WORDS...`: what may stand in place of the last word, one candidate a line. Called
 * by the completion of the shell; says nothing if it knows nothing, and never fails.
 */
#ifndef EVB_CLI_COMPLETE_H
#define EVB_CLI_COMPLETE_H

/* `words` are those after `evb`, the last one as far as it is typed; `socket` the default one. */
void complete(int n_words, const char *const *words, const char *socket);

#endif
