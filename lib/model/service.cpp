#include <tutti/service.hpp>

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

const char* to_string(Origin origin) noexcept { return origin == Origin::built_in ? "built in" : "the site"; }

}  // namespace tutti
