// The text of /proc/PID/mountinfo (proc(5)). Pure.
#pragma once

#include <string>
#include <string_view>

// The kernel writes blank, tab, newline and backslash of a path as three octal digits.
inline std::string UnescapeMountPath(std::string_view text) {
  const auto octal = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
  std::string out;
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] == '\\' && at + 3 < text.size() && octal(at + 1) && octal(at + 2) &&
        octal(at + 3)) {
      out.push_back(static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                                      (text[at + 3] - '0')));
      at += 3;
    } else {
      out.push_back(text[at]);
    }
  }
  return out;
}
