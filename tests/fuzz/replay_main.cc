// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Runs a fuzz target once over every file of the folders named on the command line, with any
// compiler. Fails where a folder cannot be read or all of them are empty.
//
// The C library's functions, because MemorySanitizer knows what those write; what the C++ library
// writes in its compiled part it takes for never written.
#include <dirent.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// False when the file cannot be read.
bool Replay(const char* path) {
  struct stat status = {};
  if (stat(path, &status) != 0) return false;
  std::vector<uint8_t> bytes(static_cast<size_t>(status.st_size));
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return false;
  const size_t read = bytes.empty() ? 0 : std::fread(bytes.data(), 1, bytes.size(), file);
  std::fclose(file);
  if (read != bytes.size()) return false;
  // The last name printed is the one that failed.
  std::printf("%s\n", path);
  std::fflush(stdout);
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  return true;
}

// How many files it holds; -1 when one of them, or the folder, cannot be read.
int ReplayFolder(const char* folder) {
  DIR* opened = opendir(folder);
  if (opened == nullptr) return -1;
  int inputs = 0;
  while (const dirent* entry = readdir(opened)) {
    if (entry->d_name[0] == '.') continue;
    char path[4096];
    std::snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
    inputs = Replay(path) && inputs >= 0 ? inputs + 1 : -1;
  }
  closedir(opened);
  return inputs;
}

}  // namespace

int main(int argc, char** argv) {
  int inputs = 0;
  for (int i = 1; i < argc; ++i) {
    const int found = ReplayFolder(argv[i]);
    if (found < 0) {
      std::fprintf(stderr, "%s cannot be read\n", argv[i]);
      return 1;
    }
    inputs += found;
  }
  std::printf("%d inputs replayed\n", inputs);
  return inputs > 0 ? 0 : 1;
}
