// SPDX-License-Identifier: LGPL-3.0-or-later
// The files of services on a model host, and those of single effects.
#include <algorithm>

#include <fmt/format.h>

#include "simulation/model_site.hpp"
#include "support/text.hpp"

namespace tutti::simulation {

void ModelSite::write(const std::string& path, const std::optional<File>& file) {
  if (file)
    host_.files[path] = *file;
  else
    host_.files.erase(path);
}

void ModelSite::keep_aside(const std::string& path, const File& ours, std::string& notes) {
  const auto there = host_.files.find(path);
  if (there == host_.files.end() || there->second.bytes == ours.bytes) return;
  const std::string aside = fmt::format("{}/state/site-{}/k/aside-{}", host_.root_, name_, ++aside_);
  host_.files[aside] = there->second;
  notes += fmt::format("kept aside: {}, changed since we wrote it, is now {}\n", path, aside);
}

void ModelSite::release_place(const std::string& path, const std::string& service, std::string& notes) {
  auto& place = host_.places_.at(path);
  const auto mine = std::find_if(place.claims.begin(), place.claims.end(), [&](const auto& claim) {
    return claim.site == name_ && claim.service == service;
  });
  if (mine == place.claims.end()) return;
  const bool has_it = std::next(mine) == place.claims.end();
  const File ours = mine->file;
  place.claims.erase(mine);
  if (has_it) {
    keep_aside(path, ours, notes);
    write(path, place.claims.empty() ? place.original : std::optional(place.claims.back().file));
  }
  if (place.claims.empty()) host_.places_.erase(path);
}

std::string ModelSite::set_files(const frames::Files& frame, bool release, std::string& notes) {
  for (const auto& file : frame.files) {
    if (!host_.find_item(file.item)) return "there is no item " + file.item + " in " + host_.store();
    if (host_.is_folder(file.path)) return file.path + " is a directory, and a file is to be there";
    const auto place = host_.places_.find(file.path);
    if (place != host_.places_.end() && place->second.claims.back().site != name_)
      return fmt::format("{} belongs to service '{}' of site '{}' on this host; service '{}' of site '{}' "
                         "can't have it: change "
                         "its path, or remove it there first",
                         file.path, place->second.claims.back().service, place->second.claims.back().site,
                         frame.service, name_);
  }
  const auto wants = [&](const std::string& path) {
    return std::any_of(frame.files.begin(), frame.files.end(),
                       [&](const auto& file) { return file.path == path; });
  };
  const auto places = host_.places_;
  for (const auto& [path, place] : places)
    if (release && !wants(path)) release_place(path, frame.service, notes);
  for (const auto& file : frame.files) {
    const File wanted{host_.find_item(file.item)->bytes, file.mode};
    const auto [found, is_new] = host_.places_.try_emplace(file.path);
    auto& place = found->second;
    if (is_new) {
      const auto there = host_.files.find(file.path);
      const bool is_ours = std::any_of(frame.adopt.begin(), frame.adopt.end(), [&](const auto& adopted) {
        return adopted.path == file.path && there != host_.files.end() && host_.find_item(adopted.item) &&
               host_.find_item(adopted.item)->bytes == there->second.bytes;
      });
      if (there != host_.files.end() && !is_ours) place.original = there->second;
    } else {
      keep_aside(file.path, place.claims.back().file, notes);
    }
    std::erase_if(place.claims,
                  [&](const auto& claim) { return claim.site == name_ && claim.service == frame.service; });
    place.claims.push_back({name_, frame.service, wanted});
    host_.make_folder(file.path.substr(0, file.path.rfind('/')));
    write(file.path, wanted);
  }
  return {};
}

void ModelSite::perform(const RecordPtr& record, const frames::Files& frame) {
  std::string notes;
  if (const std::string why = set_files(frame, true, notes); !why.empty()) return oops(record, why);
  settle(record, frames::How::exit, 0, {}, notes);
}

void ModelSite::perform(const RecordPtr& record, const frames::Put& frame) {
  const std::string folder = frame.path.substr(0, frame.path.rfind('/') + 1);
  if (!frame.path.starts_with('/')) return oops(record, "'" + frame.path + "' is no absolute path");
  if (host_.is_folder(frame.path)) return oops(record, frame.path + " is a directory");
  if (folder != "/" && !host_.is_folder(folder.substr(0, folder.size() - 1)))
    return oops(record, "there is no directory " + folder);
  if (sha256(frame.bytes) != frame.sha256)
    return oops(record, "the content for " + frame.path + " arrived damaged");
  record->is_put = true;
  const auto there = host_.files.find(frame.path);
  if (there != host_.files.end()) record->former = there->second;
  record->put = File{frame.bytes, frame.mode};
  host_.files[frame.path] = *record->put;
  settle(record, frames::How::exit, 0);
}

void ModelSite::perform(const RecordPtr& record, const frames::Unput& frame) {
  const auto of = records_.find(frame.of);
  if (of == records_.end() || !of->second->is_put) return settle(record, frames::How::absent, 0);
  std::string notes;
  if (const auto ours = std::exchange(of->second->put, std::nullopt)) {
    keep_aside(frame.path, *ours, notes);
    write(frame.path, of->second->former);
  }
  settle(record, frames::How::exit, 0, {}, notes);
}

}  // namespace tutti::simulation
