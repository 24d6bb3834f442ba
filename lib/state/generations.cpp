// SPDX-License-Identifier: LGPL-3.0-or-later
// What is kept of generations. Definitions, by their canonical form, and files of site programs stand in the
// table `content` once, whatever number of generations have them.
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "state/impl.hpp"
#include "state/journal_codec.hpp"
#include "state/schema.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

/// Throws Error(misuse) unless something was kept of the generation.
void must_be_kept(const State& state, Database& database, int generation) {
  Statement statement(database, "SELECT kept, status FROM run WHERE number=?");
  if (!statement.bind(1, std::int64_t{generation}).step()) refuse_unknown_run(state, generation);
  if (statement.integer(0) != 0) return;
  const std::string status = statement.text(1);
  const std::string why = status == "running"     ? "its run has not ended"
                          : status == "abandoned" ? "its run was abandoned"
                                                  : "it was forgotten, or made by an older Tutti";
  throw Error(ErrorCode::misuse,
              fmt::format("nothing is kept of what generation {} was: {}. The history lists the others",
                          generation, why));
}

}  // namespace

bool InstanceAt::operator==(const InstanceAt& other) const {
  const bool is_same =
      definition == other.definition || (definition && other.definition && *definition == *other.definition);
  return is_same && outcome == other.outcome;
}

void State::keep_generation(int generation, const std::map<Instance, InstanceAt>& instances,
                            const Source& source) {
  Database& db = *impl_->database;
  const std::int64_t number = generation;
  Transaction transaction(db);
  for (const char* sql :
       {"DELETE FROM generation_instance WHERE generation=?",
        "DELETE FROM generation_source WHERE generation=?", "UPDATE run SET kept=1 WHERE number=?"})
    Statement(db, sql).bind(1, number).run();

  std::unordered_map<DefinitionPtr, std::int64_t> ids;
  Statement insert(db, "INSERT INTO generation_instance VALUES(?,?,?,?,?)");
  for (const auto& [instance, at] : instances) {
    insert.bind(1, number).bind(2, instance.service).bind(3, instance.host);
    if (at.definition) {
      const auto [id, is_new] = ids.try_emplace(at.definition);
      if (is_new) id->second = content_id(db, canonical(*at.definition));
      insert.bind(4, id->second);
    }
    if (at.outcome) insert.bind(5, std::string_view(disk_name(*at.outcome)));
    insert.run();
  }
  for (const auto& [file, text] : source)
    Statement(db, "INSERT INTO generation_source VALUES(?,?,?)")
        .bind(1, number)
        .bind(2, file)
        .bind(3, content_id(db, text))
        .run();
  transaction.commit();
}

std::map<Instance, InstanceAt> State::instances_of(int generation) const {
  must_be_kept(*this, *impl_->database, generation);
  Statement statement(*impl_->database,
                      "SELECT service, host, definition, outcome, text FROM generation_instance "
                      "LEFT JOIN content ON content.id=generation_instance.definition WHERE generation=?");
  statement.bind(1, std::int64_t{generation});
  std::map<Instance, InstanceAt> all;
  std::unordered_map<std::int64_t, DefinitionPtr> definitions;
  while (statement.step()) {
    InstanceAt& at = all[{statement.text(0), statement.text(1)}];
    if (!statement.is_null(2)) {
      DefinitionPtr& definition = definitions[statement.integer(2)];
      if (!definition)
        definition = std::make_shared<const Definition>(definition_from_json(statement.text(4)));
      at.definition = definition;
    }
    if (!statement.is_null(3)) at.outcome = outcome_of(statement.text(3));
  }
  return all;
}

std::map<Instance, DefinitionPtr> State::definitions_of(int generation) const {
  std::map<Instance, DefinitionPtr> all;
  for (const auto& [instance, at] : instances_of(generation))
    if (at.definition) all.emplace(instance, at.definition);
  return all;
}

Source State::source_of(int generation) const {
  Statement statement(*impl_->database,
                      "SELECT file, text FROM generation_source "
                      "JOIN content ON content.id=generation_source.content WHERE generation=?");
  statement.bind(1, std::int64_t{generation});
  Source source;
  while (statement.step()) source.emplace(statement.text(0), statement.text(1));
  if (source.empty()) must_be_kept(*this, *impl_->database, generation);  // else the site has no program
  return source;
}

void State::forget_generations(std::int64_t keep) {
  Database& db = *impl_->database;
  std::set<int> named;  // by manifests: what their instances are at must be known
  for (const auto& [instance, entry] : last_known()) named.insert(entry.generation);
  std::vector<int> to_forget;
  Statement old(db, "SELECT number FROM run WHERE number NOT IN "
                    "(SELECT number FROM run ORDER BY number DESC LIMIT ?) AND (kept<>0 OR number IN "
                    "(SELECT generation FROM generation_source))");
  old.bind(1, keep);
  while (old.step())
    if (const int number = static_cast<int>(old.integer(0)); !named.contains(number))
      to_forget.push_back(number);
  if (to_forget.empty()) return;
  Transaction transaction(db);
  for (const int number : to_forget)
    for (const char* sql :
         {"DELETE FROM generation_instance WHERE generation=?",
          "DELETE FROM generation_source WHERE generation=?", "UPDATE run SET kept=0 WHERE number=?"})
      Statement(db, sql).bind(1, std::int64_t{number}).run();
  db.execute("DELETE FROM content WHERE id NOT IN "
             "(SELECT definition FROM generation_instance WHERE definition IS NOT NULL "
             "UNION SELECT content FROM generation_source)");
  transaction.commit();
}

}  // namespace tutti
