// SPDX-License-Identifier: LGPL-3.0-or-later
// Loaded first: a clock of the day that is CLOCK_SHIFT seconds off and runs CLOCK_RATE times as fast, from
// when this process asked first.
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

#include <cstdlib>

namespace {

double number(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atof(text) : otherwise;
}

int real(clockid_t clock, timespec* time) {
  static const auto next = reinterpret_cast<int (*)(clockid_t, timespec*)>(dlsym(RTLD_NEXT, "clock_gettime"));
  return next(clock, time);
}

timespec wrong() {
  timespec now{};
  real(CLOCK_REALTIME, &now);
  const double seconds = static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
  static const double begin = seconds;
  const double shown = begin + number("CLOCK_SHIFT", 0) + (seconds - begin) * number("CLOCK_RATE", 1);
  const auto whole = static_cast<time_t>(shown);
  return {whole, static_cast<long>((shown - static_cast<double>(whole)) * 1e9)};
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (clock != CLOCK_REALTIME) return real(clock, time);
  *time = wrong();
  return 0;
}

extern "C" int gettimeofday(timeval* time, void*) noexcept {
  const timespec now = wrong();
  *time = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

extern "C" time_t time(time_t* where) noexcept {
  const time_t now = wrong().tv_sec;
  if (where) *where = now;
  return now;
}
