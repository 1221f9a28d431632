// Episode reports as Python dictionaries.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "environment/report.h"

namespace mvfstrl {

pybind11::list report_list(const std::vector<EpisodeReport>& reports);

}  // namespace mvfstrl
