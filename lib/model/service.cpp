#include <tutti/service.hpp>

#include <tutti/transition.hpp>

namespace tutti {

Declared::Declared(std::source_location here) {
  std::string file = here.file_name();
  at = file.substr(file.rfind('/') + 1) + ":" + std::to_string(here.line());
}

LateSettings LateSettings::elsewhere() {
  LateSettings settings;
  settings.elsewhere_ = true;
  return settings;
}

TransitionProcedure::TransitionProcedure(Transition (*function)(Context, Change))
    : name("a C++ function"), body(function) {}

}  // namespace tutti
