// SPDX-License-Identifier: LGPL-3.0-or-later
// The site of examples/hello, deployed by a C++ program: no Scheme.
//
// usage: embed VERSION APP.PY [FLEET]
//
// On this machine below ./hello, or on the hosts of FLEET, a folder with hosts.json and ssh_config.
// Build it against an installed Tutti: cmake -B build && cmake --build build
#include <csignal>
#include <cstdlib>
#include <iostream>

#include <tutti/tutti.hpp>

using namespace tutti;

namespace {

Service app(const std::string& version, const std::string& program) {
  Service service{.name = "app",
                  .version = version,
                  .settings =
                      [](const SiteView&, const Host& host) {
                        return Settings{{"address", host.address}};
                      },
                  .endpoints = {{"http", "8000"}},
                  .start = daemon({local_file(program), Setting{"address"}, "8000", version}),
                  .validate = Program{"curl", "-fsS", "--max-time", "2",
                                      Text("http://") + Setting{"address"} + ":8000/health"}
                                  .within(5)};
  if (version == "3") service.start.argv.emplace_back("--sick");  // never becomes well
  return service;
}

Item configuration(const Text& conf) {
  return mixed_text_file("nginx.conf",
                         Text("worker_processes 1;\n") + "pid " + conf +
                             "/nginx.pid;\n"
                             "events { worker_connections 512; }\n"
                             "http {\n"
                             "  access_log off;\n"
                             "  client_body_temp_path " +
                             conf + "/body; proxy_temp_path " + conf +
                             "/proxy;\n"
                             "  fastcgi_temp_path " +
                             conf + "/fastcgi; uwsgi_temp_path " + conf + "/uwsgi; scgi_temp_path " + conf +
                             "/scgi;\n"
                             "  upstream app {\n" +
                             Setting{"servers"} +
                             "  }\n"
                             "  server {\n"
                             "    listen " +
                             Setting{"address"} +
                             ":8080;\n"
                             "    add_header X-Front " +
                             Setting{"version"} +
                             ";\n"
                             "    location / { proxy_pass http://app; proxy_connect_timeout 2s; }\n"
                             "  }\n"
                             "}\n");
}

Service front(const std::string& version) {
  const Text conf = DataDirectory{"conf"};
  const auto settings = [version](const SiteView& site, const Host& host) {
    Settings all{{"address", host.address}, {"version", version}};
    for (const std::string& one : site.endpoints_of("app", "http")) {
      all["upstreams"] += (all["upstreams"].empty() ? "" : " ") + one;
      all["servers"] += "    server " + one + ";\n";
    }
    return all;
  };
  return {
      .name = "front",
      .version = version,
      .files = {{.path = conf + "/nginx.conf", .content = configuration(conf)}},
      .settings = settings,
      .endpoints = {{"http", "8080"}},
      .start = daemon({"nginx", "-e", "stderr", "-p", conf, "-c", conf + "/nginx.conf", "-g", "daemon off;"}),
      .reload = {"nginx", "-e", "stderr", "-p", conf, "-c", conf + "/nginx.conf", "-s", "reload"},
      .validate =
          Program{"curl", "-fsS", "--max-time", "2", Text("http://") + Setting{"address"} + ":8080/"}.within(
              10),
      .requirements = {{.service = "app"}}};
}

Site hello(const std::string& version, const std::string& program, const std::string& fleet) {
  Site site{.name = "hello",
            .host_classes = {{.name = "app", .services = {app(version, program)}},
                             {.name = "front", .services = {front(version)}}}};
  if (fleet.empty()) {
    site.platform = local_platform("hello");
    site.host_class_to_hosts =
        inventory_list({{"app", {{.name = "app1"}, {.name = "app2"}}}, {"front", {{.name = "front1"}}}});
  } else {
    site.platform = ssh_platform("", fleet + "/ssh_config");
    site.host_class_to_hosts = inventory_file(fleet + "/hosts.json");
  }
  return site;
}

Deployment* running = nullptr;

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: embed VERSION APP.PY [FLEET]\n";
    return 1;
  }
  Deployment deployment =
      Deployment::open(hello(argv[1], argv[2], argc > 3 ? argv[3] : ""), "hello/state.db");
  running = &deployment;
  std::signal(SIGINT, [](int) { running->interrupt(); });
  const Plan plan = deployment.plan();
  std::cout << plan;
  const Report report = deployment.execute(plan, [](const Progress& progress) {
    std::cout << progress.host << "  " << progress.service << "  " << progress.text;
    if (progress.outcome != Outcome::none)
      std::cout << (progress.text.empty() ? "" : "  ") << to_string(progress.outcome);
    std::cout << std::endl;
  });
  std::cout << report;
  return report.exit_status();
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
