{
  "targets": [
    {
      "target_name": "nfsroot_trace",
      "sources": ["<!@(find native -name '*.cc' ! -path 'native/local/*' ! -path 'native/quick/*' | LC_ALL=C sort)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "native"],
      "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_DEPRECATED", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc!": ["-std=gnu++20", "-std=gnu++17", "-fexceptions"],
      "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fvisibility=hidden", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
      "ldflags": ["-Wl,-z,relro,-z,now"]
    },
    {
      "target_name": "trace-world",
      "type": "executable",
      "sources": [
        "native/fanotify/btrfs_top.cc",
        "native/fanotify/event_info.cc",
        "<!@(find native/local -name '*.cc' | LC_ALL=C sort)"
      ],
      "include_dirs": ["native"],
      "cflags_cc!": ["-std=gnu++20", "-std=gnu++17", "-fexceptions"],
      "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
      "ldflags!": ["-rdynamic"],
      "ldflags": ["-static", "-Wl,-z,relro,-z,now"]
    },
    {
      "target_name": "trace-quick",
      "type": "executable",
      "sources": ["<!@(find native/quick -name '*.cc' | LC_ALL=C sort)"],
      "include_dirs": ["native"],
      "cflags_cc!": ["-std=gnu++20", "-std=gnu++17", "-fexceptions"],
      "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
      "ldflags!": ["-rdynamic"],
      "ldflags": ["-static-libstdc++", "-static-libgcc", "-Wl,-z,relro,-z,now"]
    }
  ]
}
