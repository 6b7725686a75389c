{
  'variables': {
    # Paths are relative to this file, wherever npm has put the package. -l:lib….a takes the static library, which then stays private to the
    # addon: Node exports compressor symbols of its own, and Debian has the static library in the same package as the headers.
    'addon_api': '<!(node -p "require(\'path\').relative(\'.\', require.resolve(\'node-addon-api/package.json\').replace(/[^/]+$/, \'\'))")',
    'zstd': '<!(node -p "require(\'path\').relative(\'.\', require.resolve(\'zstd-napi/package.json\').replace(/[^/]+$/, \'\'))")',
    'lz4': '<!(test -e "$(cc -print-file-name=liblz4.a)" && echo -l:liblz4.a || echo -llz4)',
    'deflate': '<!(test -e "$(cc -print-file-name=libdeflate.a)" && echo -l:libdeflate.a || echo -ldeflate)',
    'libpq_include': '<!(pg_config --includedir)',
  },
  'target_defaults': {
    'cflags_cc!': ['-fno-rtti', '-fno-exceptions', '-std=gnu++17'],
    'cflags_cc': ['-std=gnu++20', '-fexceptions', '-fvisibility=hidden', '-Wall', '-Wextra'],
    'include_dirs': ['native'],
  },
  'targets': [
    {
      # Everything but the bindings. It never sees Node's headers: Node ships OpenSSL's and zlib's own, of other versions than the system's.
      'target_name': 'core',
      'type': 'static_library',
      'sources': ['<!@(ls native/base/*.cc native/memory/*.cc native/pg/*.cc native/codec/*.cc native/io/*.cc native/pipeline/*.cc)'],
      'include_dirs': ['<(libpq_include)'],
      'include_dirs!': [
        '<(node_root_dir)/include/node',
        '<(node_root_dir)/src',
        '<(node_root_dir)/deps/openssl/config',
        '<(node_root_dir)/deps/openssl/openssl/include',
        '<(node_root_dir)/deps/uv/include',
        '<(node_root_dir)/deps/zlib',
        '<(node_root_dir)/deps/v8/include',
      ],
      # Settings of Node's own OpenSSL.
      'defines!': ['OPENSSL_NO_PINSHARED', 'OPENSSL_THREADS'],
      'dependencies': ['<(zstd)/deps/zstd.gyp:libzstd'],
      'export_dependent_settings': ['<(zstd)/deps/zstd.gyp:libzstd'],
      'link_settings': { 'libraries': ['<(lz4)', '<(deflate)', '-lpq', '-lssl', '-lcrypto'] },
    },
    {
      'target_name': 'dbbackup',
      'sources': ['<!@(ls native/addon/*.cc)'],
      'include_dirs': ['<(addon_api)'],
      'dependencies': ['core'],
      'ldflags': [
        '-Wl,--exclude-libs,ALL',
        '-Wl,-Bsymbolic',
        '-Wl,-z,now',
        # Stays mapped when the last worker thread that loaded it ends: libraries below keep per-thread destructors until the thread is gone.
        '-Wl,-z,nodelete',
      ],
    },
    {
      # A program of its own: it outlives the process that starts it.
      'target_name': 'dbbackup-keeper',
      'type': 'executable',
      'sources': ['<!@(ls native/keeper/*.cc)'],
      'include_dirs!': ['<(node_root_dir)/include/node'],
      'dependencies': ['core'],
      'ldflags': ['-Wl,--gc-sections', '-Wl,--as-needed', '-Wl,-z,now'],
    },
  ],
}
