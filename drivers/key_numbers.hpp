// Keys by the numbers of the many keyboards there are (VIR_KEYCODE_SET_*), as the numbers that send_keys() takes: PC set 1, with
// 0x80 for the grey keys that a keyboard sends with a prefix of 0xe0.
#pragma once

namespace lodge::drivers {

// Throws Code::internal_error when the set has no such key.
unsigned key_number(unsigned code_set, unsigned code);

} // namespace lodge::drivers
