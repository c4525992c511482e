#include "nfsd/client_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstddef>
#include <cstring>

namespace {

std::string FromV4(const in_addr& address) {
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &address, text, sizeof text) ? text : std::string();
}

std::string FromV6(const in6_addr& address, uint32_t scope) {
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    in_addr v4;
    memcpy(&v4, address.s6_addr + 12, 4);
    return FromV4(v4);
  }
  char text[INET6_ADDRSTRLEN];
  if (!inet_ntop(AF_INET6, &address, text, sizeof text)) return {};
  std::string out = text;
  if (scope != 0 && IN6_IS_ADDR_LINKLOCAL(&address)) out += "%" + std::to_string(scope);
  return out;
}

}  // namespace

std::string AddressFromSockaddr(std::string_view sockaddr) {
  sa_family_t family;
  if (sockaddr.size() < sizeof family) return {};
  memcpy(&family, sockaddr.data(), sizeof family);
  if (family == AF_INET && sockaddr.size() >= 8) {
    in_addr address;
    memcpy(&address, sockaddr.data() + offsetof(sockaddr_in, sin_addr), sizeof address);
    return FromV4(address);
  }
  if (family == AF_INET6 && sockaddr.size() >= 24) {
    in6_addr address;
    uint32_t scope = 0;
    memcpy(&address, sockaddr.data() + offsetof(sockaddr_in6, sin6_addr), sizeof address);
    if (sockaddr.size() >= sizeof(sockaddr_in6))
      memcpy(&scope, sockaddr.data() + offsetof(sockaddr_in6, sin6_scope_id), sizeof scope);
    return FromV6(address, scope);
  }
  return {};
}

std::string AddressFromText(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    size_t close = text.find(']');
    if (close == std::string_view::npos) return {};
    in6_addr address;
    std::string host(text.substr(1, close - 1));
    return inet_pton(AF_INET6, host.c_str(), &address) == 1 ? FromV6(address, 0) : std::string();
  }
  in_addr address;
  std::string host(text.substr(0, text.find(':')));
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ? FromV4(address) : std::string();
}
