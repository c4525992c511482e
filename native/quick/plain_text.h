// Whether a name is shown to a person as it is. Owns that rule's C++ side; src/cli/output.ts has
// what is shown in place of other names.
#pragma once
#include <string_view>

namespace quick {

// UTF-8 (Unicode 15, table 3-7) without control characters.
bool IsPlainText(std::string_view bytes);

}  // namespace quick
