/* The standard input of those who work for others. */
#ifndef MP_PROCESS_INPUT_H
#define MP_PROCESS_INPUT_H

/* Descriptor 0 and stdin read as empty from now on: what there was is the parent's, and what the
 * parent has read of it ahead. Nothing changes where there is no /dev/null. */
void mp_input_empty(void);

#endif
