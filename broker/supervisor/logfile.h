/*
 * The log as a file: descriptor 2 of the supervisor, and of everything that it starts
 * from then on.
 *
 * Trust: in = CONFIG (the path); out = CHECKED; called by = supervisor
 */
#pragma once

/*
 * Opens `path` for appending, makes it (0600) if it is not there, and puts it in the place of standard error.
 * Calling it again opens it anew: after a rotation the supervisor and the processes that it starts write to
 * the new file, and those that run already to the old one. 0, or -errno: what was there stays. -ELOOP: a
 * symbolic link that is neither root's nor the starting user's, who could have root write anywhere.
 */
int bh_log_file_open(const char *path);

/* After a rotation: what is said from here on goes into the new file. A failure is said in the old one. */
void bh_log_file_reopen(const char *path);

/* What is wrong, as the end of a sentence. */
const char *bh_log_file_fault(int error);
