#include "emulator/tun_port.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <stdexcept>

namespace mvfstrl {

TunPort::TunPort(const std::string& name)
    : descriptor_(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun") {
  ifreq request{};
  if (name.empty() || name.size() >= IFNAMSIZ)
    throw std::invalid_argument("'" + name + "' is no device's name");
  name.copy(request.ifr_name, name.size());
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(fd(), TUNSETIFF, &request) != 0) throw_errno("cannot make the device " + name);
}

}  // namespace mvfstrl
