// Calls that Node has no name for: sd_notify, the peer of a Unix socket, the monotonic clock in
// the unit the sensors use, the state of the wall clock. Owns nothing.
#include "system/system_binding.h"

#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <ctime>

#include "error.h"

namespace {

// sd_notify(3): one datagram to the socket named by NOTIFY_SOCKET; '@' stands for the abstract
// name space. False if the variable is not set.
Napi::Value SdNotify(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr || path[0] == 0) return Napi::Boolean::New(env, false);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = strlen(path);
  int err = 0;
  if ((path[0] != '/' && path[0] != '@') || length >= sizeof address.sun_path) err = EINVAL;
  if (err == 0) {
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = 0;
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      err = errno;
    } else {
      std::string state = info[0].ToString().Utf8Value();
      iovec part{state.data(), state.size()};
      msghdr message{};
      message.msg_name = &address;
      // An abstract name is as long as its length says; a path may or may not count its NUL.
      message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) err = errno;
      close(fd);
    }
  }
  if (err != 0) {
    SystemError(env, err, "sd_notify", path).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  return Napi::Boolean::New(env, true);
}

Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(info[0].ToNumber().Int32Value(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    SystemError(env, errno, "getsockopt").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("pid", Napi::Number::New(env, peer.pid));
  out.Set("uid", Napi::Number::New(env, peer.uid));
  out.Set("gid", Napi::Number::New(env, peer.gid));
  return out;
}

Napi::Value MonotonicUs(const Napi::CallbackInfo& info) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Napi::Number::New(
      info.Env(), static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec / 1000));
}

// adjtimex(2) without a mode: asks, sets nothing, and needs no privilege.
Napi::Value ClockState(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  timex state{};
  const int result = adjtimex(&state);
  if (result < 0) {
    SystemError(env, errno, "adjtimex").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("synchronized", Napi::Boolean::New(env, (state.status & STA_UNSYNC) == 0));
  out.Set("maxErrorUs", Napi::Number::New(env, static_cast<double>(state.maxerror)));
  out.Set("leapPending",
          Napi::Boolean::New(env, result == TIME_INS || result == TIME_DEL || result == TIME_OOP));
  return out;
}

}  // namespace

void InitSystem(Napi::Env env, Napi::Object exports) {
  exports.Set("sdNotify", Napi::Function::New<SdNotify>(env, "sdNotify"));
  exports.Set("peerCredentials", Napi::Function::New<PeerCredentials>(env, "peerCredentials"));
  exports.Set("clockState", Napi::Function::New<ClockState>(env, "clockState"));
  exports.Set("monotonicUs", Napi::Function::New<MonotonicUs>(env, "monotonicUs"));
}
