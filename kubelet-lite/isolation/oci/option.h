#ifndef TRIMTAB_OCI_OPTION_H
#define TRIMTAB_OCI_OPTION_H

#include "oci/oci.h"

/*
 * Options as a table: `--name VALUE`, `--name=VALUE`, `-n VALUE`; a flag takes no value, or `=true` or `=false`. What is
 * not in the tables is refused, because ignoring it might weaken something.
 */
struct oci_option {
    const char *name;
    char letter;
    enum { OPTION_FLAG, OPTION_TEXT, OPTION_LIST } kind;
    size_t field; /* of struct oci */
    const char *value, *help;
};

struct oci_entry {
    const char *name;
    oci_command *run;
    const char *arguments, *about, *example;
    const struct oci_option *options;
    bool takes_id;
    bool in_order; /* what follows the id is not ours to read */
    bool enters;   /* starts or enters containers: runs from a sealed copy of the program */
    int most;      /* arguments after the id */
};

/* oci_table.c: both end with an entry without a name. */
extern const struct oci_option oci_global_options[];
extern const struct oci_entry oci_entries[];

/*
 * Reads options until `stop_at_word` meets a word that is none, else through to the end; words are moved to the front of
 * argv and counted in *words. Returns how many of argv were read, -1: error.
 */
int oci_read_options(struct oci *oci, const struct oci_option *options, int argc, char **argv, bool stop_at_word, int *words,
                     struct error *error);
void oci_print_help(const struct oci_entry *entry);
void oci_print_global_help(void);

#endif
