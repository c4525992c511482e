// Looks at many names of a tree at once: what each is, how a regular file begins, whether there are
// extended attributes. Owns the row that comes of it. Must not know what the answers are for.
#pragma once
#include <sys/stat.h>

#include <string_view>

class RootTree;

// What JavaScript gets of statx(2), as doubles; the last one's eight bytes hold the inode number as
// an integer, which a double could round (overlayfs sets its high bits).
constexpr size_t kStatFields = 15;

void FillStat(const struct statx& st, bool foreign, double* out);

// The errno of statx (0 if it succeeded), the first four bytes of a regular file as a little-endian
// number (-1 where there are fewer, or they cannot be read now), whether to ask for attributes, and
// the fields of FillStat.
constexpr size_t kSurveyFields = 3 + kStatFields;

// Fills a row for each path, which each end by a NUL; sorted ones are quickest.
void Survey(RootTree* tree, std::string_view paths, double* rows);
