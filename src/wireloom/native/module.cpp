// The Python module: graphs and measures take numpy arrays, the kernels of training addresses.
#include "bindings.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace wireloom {

const char* asked_isa() {
    const char* asked = std::getenv("WIRELOOM_ISA");
    const std::string wish = asked ? asked : "";
    if (!wish.empty() && wish != "portable" && wish != "avx2" && wish != "avx512")
        throw std::invalid_argument("WIRELOOM_ISA must be portable, avx2 or avx512; got '" + wish + "'");
    return asked ? asked : "";
}

}  // namespace wireloom

NB_MODULE(_native, m) {
    wireloom::bind_graphs(m);
    wireloom::bind_kernels(m);
}
