// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The canonical forms of definitions, made once for each: every effect of a service is hashed with it,
// and manifest entries hold it.

#include <string>
#include <unordered_map>

#include <tutti/definition.hpp>

namespace tutti {

class CanonicalForms {
 public:
  /// "" for none. Valid while this lives.
  [[nodiscard]] const std::string& of(const DefinitionPtr& definition) {
    const auto [found, is_new] = forms_.try_emplace(definition);
    if (is_new && definition) found->second = canonical(*definition);
    return found->second;
  }

 private:
  std::unordered_map<DefinitionPtr, std::string> forms_;
};

[[nodiscard]] const char* to_string(ManifestEntry::State) noexcept;
/// What `entry.to_json()` gives, from the canonical forms of its two definitions.
[[nodiscard]] std::string to_json(const ManifestEntry& entry, const std::string& old_form,
                                  const std::string& new_form);

/// An entry whose definitions stand elsewhere: reads what `to_json(entry, "", "")` gave. Throws Error.
[[nodiscard]] ManifestEntry manifest_entry_from_json(std::string_view json, DefinitionPtr old_definition,
                                                     DefinitionPtr new_definition);

}  // namespace tutti
