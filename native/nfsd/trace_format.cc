#include "nfsd/trace_format.h"

#include <charconv>
#include <cstring>

namespace {

std::string_view Trim(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  size_t end = text.find_last_not_of(" \t\r");
  return text.substr(begin, end - begin + 1);
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool ParseNumber(std::string_view text, uint32_t* out) {
  text = Trim(text);
  auto result = std::from_chars(text.data(), text.data() + text.size(), *out);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

// `unsigned char addr[28]` -> addr, `__data_loc u8[] client` -> client, `const void * inode` ->
// inode
std::string_view DeclaredName(std::string_view declaration) {
  declaration = Trim(declaration);
  if (!declaration.empty() && declaration.back() == ']') {
    size_t open = declaration.rfind('[');
    if (open == std::string_view::npos) return {};
    declaration = Trim(declaration.substr(0, open));
  }
  size_t begin = declaration.find_last_of(" \t*");
  return begin == std::string_view::npos ? std::string_view{} : declaration.substr(begin + 1);
}

// `field:u32 xid;	offset:8;	size:4;	signed:0;`
bool ParseField(std::string_view line, TraceField* out) {
  bool have_offset = false, have_size = false;
  std::string_view declaration;
  while (!line.empty()) {
    size_t semicolon = line.find(';');
    std::string_view part = Trim(line.substr(0, semicolon));
    line = semicolon == std::string_view::npos ? std::string_view{} : line.substr(semicolon + 1);
    uint32_t number = 0;
    if (StartsWith(part, "field:")) {
      declaration = Trim(part.substr(6));
    } else if (StartsWith(part, "offset:")) {
      have_offset = ParseNumber(part.substr(7), &out->offset);
    } else if (StartsWith(part, "size:")) {
      have_size = ParseNumber(part.substr(5), &out->size);
    } else if (StartsWith(part, "signed:") && ParseNumber(part.substr(7), &number)) {
      out->is_signed = number != 0;
    }
  }
  if (StartsWith(declaration, "__data_loc "))
    out->place = FieldPlace::kDataLoc;
  else if (StartsWith(declaration, "__rel_loc "))
    out->place = FieldPlace::kRelLoc;
  out->name = std::string(DeclaredName(declaration));
  return have_offset && have_size && !out->name.empty();
}

}  // namespace

const TraceField* TraceFormat::Find(std::string_view name) const {
  for (const TraceField& field : fields)
    if (field.name == name) return &field;
  return nullptr;
}

bool ParseTraceFormat(std::string_view text, TraceFormat* out, std::string* error) {
  *out = TraceFormat{};
  bool have_id = false;
  while (!text.empty()) {
    size_t newline = text.find('\n');
    std::string_view line = Trim(text.substr(0, newline));
    text = newline == std::string_view::npos ? std::string_view{} : text.substr(newline + 1);
    bool good = true;
    if (StartsWith(line, "name:")) {
      out->event = std::string(Trim(line.substr(5)));
    } else if (StartsWith(line, "ID:")) {
      good = have_id = ParseNumber(line.substr(3), &out->id);
    } else if (StartsWith(line, "field:")) {
      TraceField field;
      good = ParseField(line, &field);
      if (good) out->fields.push_back(std::move(field));
    } else if (StartsWith(line, "print fmt:")) {
      break;
    }
    if (!good) {
      *error = std::string(line);
      return false;
    }
  }
  if (out->event.empty() || !have_id || out->fields.empty()) {
    *error = out->event.empty() ? "no name" : !have_id ? "no ID" : "no fields";
    return false;
  }
  return true;
}

FieldRef ResolveField(const TraceFormat& format, std::string_view name) {
  FieldRef ref;
  const TraceField* field = format.Find(name);
  if (field == nullptr) return ref;
  ref.offset = field->offset;
  ref.size = field->size;
  ref.place = field->place;
  ref.present = true;
  return ref;
}

uint64_t FieldRef::Number(const RawRecord& record) const {
  if (!present || place != FieldPlace::kInline || uint64_t{offset} + size > record.size) return 0;
  const uint8_t* at = record.data + offset;
  uint16_t two;
  uint32_t four;
  uint64_t eight;
  switch (size) {
    case 1:
      return *at;
    case 2:
      memcpy(&two, at, 2);
      return two;
    case 4:
      memcpy(&four, at, 4);
      return four;
    case 8:
      memcpy(&eight, at, 8);
      return eight;
    default:
      return 0;
  }
}

std::string_view FieldRef::Bytes(const RawRecord& record) const {
  if (!present || uint64_t{offset} + size > record.size) return {};
  uint64_t from = offset, length = size;
  if (place != FieldPlace::kInline) {
    uint32_t word;
    if (size != 4) return {};
    memcpy(&word, record.data + offset, 4);
    from = word & 0xffff;
    length = word >> 16;
    if (place == FieldPlace::kRelLoc) from += offset + 4;
    if (from + length > record.size) return {};
  }
  return {reinterpret_cast<const char*>(record.data) + from, static_cast<size_t>(length)};
}

std::string_view FieldRef::Text(const RawRecord& record) const {
  std::string_view bytes = Bytes(record);
  return bytes.substr(0, bytes.find('\0'));
}
