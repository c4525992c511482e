// Copies one file of a plan into a descriptor: its blocks are shared where the file system can do
// that (FICLONE), else its bytes are copied. Owns nothing. Must not know what the copy is for.
#pragma once
#include "archive/planned_file.h"

class RootTree;

// Called on a worker thread; `fd` is an empty regular file. The file is compared with the plan
// before its first byte and after its last. False with the trouble set; what `fd` holds is rubbish
// then. `shared` tells whether blocks are shared. A copy of bytes that would leave less than
// `leave` of the file system free fails with ENOSPC, before it does.
bool CopyPlanned(RootTree* tree, const std::string& path, const ArchiveFile& file, int fd,
                 uint64_t leave, bool* shared, ArchiveTrouble* trouble);
