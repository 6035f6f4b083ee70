#ifndef TRIMTAB_TESTS_UNIT_H
#define TRIMTAB_TESTS_UNIT_H

#include <stdio.h>
#include <stdlib.h>

/* A failed check prints where and ends the run: later ones would only repeat it. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        checks++;                                                                                                      \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

extern unsigned checks;

/* Seeded, so that a failing run can be repeated. */
unsigned unit_random(void);

void test_json(void);
void test_frames(void);
void test_seccomp(void);
void test_plan(void);
void test_ids(void);
void test_log(void);
void test_paths(void);
void test_devices(void);
void test_cgroups(void);
void test_oci(void);

#endif
