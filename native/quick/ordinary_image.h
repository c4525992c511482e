// The names in an ordinary image: a regular file of plain newc archives and zeros, all of which the
// kernel takes. Owns what is ordinary. Must not know who asks, nor what is said of other images:
// src/image/tools reads every image, this one as well.
#pragma once
#include <string>

namespace quick {

// In their order, each with a line's end behind it, as a person is shown them. False, and `lines`
// is of no use, of every image that is not ordinary, or that holds a name which cannot be shown as
// it is.
bool NamesOf(int image, std::string* lines);

}  // namespace quick
