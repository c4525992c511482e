// A client's address as normalised text: the identity of an NFS client.
// Pure functions; must not know where the address came from.
#pragma once
#include <string>
#include <string_view>

// From a struct sockaddr as the kernel's trace records hold it. IPv4-mapped IPv6 becomes IPv4, a
// link-local address keeps its scope (`fe80::7%3`), the port is dropped. '' for any other family.
std::string AddressFromSockaddr(std::string_view sockaddr);

// From the kernel's `%pISpc`: `10.9.1.11:838`, `[2001:db8::7]:838`. '' when it is neither. The
// kernel prints no scope there, so link-local addresses have none.
std::string AddressFromText(std::string_view text);
