// The knobs of every scheme, as config_io reads and writes them: one function a controller.
#pragma once

#include "environment/config.h"
#include "environment/config_visitor.h"

namespace mvfstrl {

inline constexpr EnumName<CubicFlavour> kCubicFlavours[] = {{CubicFlavour::kMvfst, "mvfst"},
                                                            {CubicFlavour::kRfc9438, "rfc9438"}};
inline constexpr EnumName<NewRenoFlavour> kNewRenoFlavours[] = {{NewRenoFlavour::kMvfst, "mvfst"},
                                                                {NewRenoFlavour::kRfc9002, "rfc9002"}};

inline constexpr EnumName<LedbatFlavour> kLedbatFlavours[] = {{LedbatFlavour::kLedbatpp, "ledbatpp"},
                                                              {LedbatFlavour::kRfc6817, "rfc6817"}};

template <class V>
void visit_fields(V&, ExternalConfig&) {}
template <class V>
void visit_fields(V&, RandomActions&) {}
template <class V, MvfstScheme kWhich>
void visit_fields(V&, MvfstOwn<kWhich>&) {}
template <class V>
void visit_fields(V& v, NewRenoConfig& c) {
  v.choice_knob("flavour", c.flavour, kNewRenoFlavours);
  v.knob("additive_increase_bytes", c.additive_increase, kPositive);
}
template <class V>
void visit_fields(V& v, CubicConfig& c) {
  v.choice_knob("flavour", c.flavour, kCubicFlavours);
  v.knob("c", c.c, kPositive);
  v.knob("beta", c.beta, kUnitOpenLow);
  v.knob("last_max_factor", c.last_max_factor, kUnitOpenLow);
  v.knob("tcp_friendly", c.tcp_friendly);
  v.knob("hystart", c.hystart);
  v.knob("hystart_samples", c.hystart_samples, kAtLeastOne);
  v.knob("hystart_low_packets", c.hystart_low_packets, kNonNegative);
  v.knob("hystart_delay_low_ms", c.hystart_delay_low, kPositive);
  v.knob("hystart_delay_high_ms", c.hystart_delay_high, kPositive);
  v.knob("hystart_pacing_gain", c.hystart_pacing_gain, kPositive);
  v.knob("recovery_pacing_gain", c.recovery_pacing_gain, kPositive);
}
template <class V>
void visit_fields(V& v, FixedConfig& c) {
  v.knob("window_packets", c.window_packets, kAtLeastOne);
  v.knob("pacing", c.pacing);
}
template <class V>
void visit_fields(V& v, CopaConfig& c) {
  v.knob("delta", c.delta, kPositive);
  v.knob("standing_rtt", c.standing_rtt);
  v.knob("min_rtt_window_ms", c.min_rtt_window, kPositive);
  v.knob("pacing_gain", c.pacing_gain, kPositive);
}
template <class V>
void visit_fields(V& v, SproutConfig& c) {
  v.knob("tick_ms", c.tick, kPositive);
  v.knob("horizon_ms", c.horizon, kPositive);
  v.knob("gain", c.gain, kUnitOpenLow);
}
template <class V>
void visit_fields(V& v, BbrConfig& c) {
  v.knob("startup_gain", c.startup_gain, kPositive);
  v.knob("startup_rtt_factor", c.startup_rtt_factor, kPositive);
  v.knob("startup_growth", c.startup_growth, kPositive);
  v.knob("startup_flat_rounds", c.startup_flat_rounds, kAtLeastOne);
  v.knob("window_gain", c.window_gain, kPositive);
  v.knob("probe_gain", c.probe_gain, kPositive);
  v.knob("drain_gain", c.drain_gain, kPositive);
  v.knob("bandwidth_rounds", c.bandwidth_rounds, kAtLeastOne);
  v.knob("min_rtt_expiry_ms", c.min_rtt_expiry, kPositive);
  v.knob("probe_rtt_ms", c.probe_rtt, kNonNegative);
  v.knob("min_window_packets", c.min_window_packets, kAtLeastOne);
}
template <class V>
void visit_fields(V& v, VivaceConfig& c) {
  v.knob("exponent", c.exponent, kUnitOpenLow);
  v.knob("latency_factor", c.latency_factor, kNonNegative);
  v.knob("loss_factor", c.loss_factor, kNonNegative);
  v.knob("probe_step", c.probe_step, kPositive);
  v.knob("conversion", c.conversion, kPositive);
  v.knob("change_bound", c.change_bound, kPositive);
  v.knob("change_bound_step", c.change_bound_step, kNonNegative);
  v.knob("gradient_floor", c.gradient_floor, kNonNegative);
  v.knob("gradient_errors", c.gradient_errors, kNonNegative);
  v.knob("reward_draining", c.reward_draining);
  v.knob("interval_packets", c.interval_packets, kAtLeastOne);
  v.knob("timeout_rtts", c.timeout_rtts, kPositive);
}
template <class V>
void visit_fields(V& v, VegasConfig& c) {
  v.knob("alpha_packets", c.alpha_packets, kPositive);
  v.knob("beta_packets", c.beta_packets, kPositive);
  v.knob("gamma_packets", c.gamma_packets, kPositive);
  v.knob("loss_factor", c.loss_factor, kUnitOpenLow);
}
template <class V>
void visit_fields(V& v, LedbatConfig& c) {
  v.choice_knob("flavour", c.flavour, kLedbatFlavours);
  v.knob("target_ms", c.target, kPositive);
  v.knob("gain", c.gain, kPositive);
  v.knob("allowed_increase_packets", c.allowed_increase_packets, kPositive);
  v.knob("base_window_ms", c.base_window, kPositive);
  v.knob("max_gain_divisor", c.max_gain_divisor, kAtLeastOne);
  v.knob("decrease", c.decrease, kPositive);
  v.knob("slow_start_exit", c.slow_start_exit, kPositive);
  v.knob("slowdown_rtts", c.slowdown_rtts, kAtLeastOne);
  v.knob("slowdown_interval", c.slowdown_interval, kPositive);
}
template <class V>
void visit_fields(V& v, Bbr3Config& c) {
  v.knob("startup_pacing_gain", c.startup_pacing_gain, kPositive);
  v.knob("startup_growth", c.startup_growth, kPositive);
  v.knob("startup_flat_rounds", c.startup_flat_rounds, kAtLeastOne);
  v.knob("startup_loss_ranges", c.startup_loss_ranges, kAtLeastOne);
  v.knob("drain_pacing_gain", c.drain_pacing_gain, kPositive);
  v.knob("window_gain", c.window_gain, kPositive);
  v.knob("up_pacing_gain", c.up_pacing_gain, kPositive);
  v.knob("up_window_gain", c.up_window_gain, kPositive);
  v.knob("down_pacing_gain", c.down_pacing_gain, kPositive);
  v.knob("loss_threshold", c.loss_threshold, kFraction);
  v.knob("beta", c.beta, kUnitOpenLow);
  v.knob("headroom", c.headroom, kFraction);
  v.knob("pacing_margin", c.pacing_margin, kFraction);
  v.knob("min_rtt_expiry_ms", c.min_rtt_expiry, kPositive);
  v.knob("probe_rtt_interval_ms", c.probe_rtt_interval, kPositive);
  v.knob("probe_rtt_ms", c.probe_rtt, kNonNegative);
  v.knob("probe_rtt_window_gain", c.probe_rtt_window_gain, kPositive);
  v.knob("probe_wait_low_ms", c.probe_wait_low, kPositive);
  v.knob("probe_wait_high_ms", c.probe_wait_high, kPositive);
  v.knob("reno_rounds", c.reno_rounds, kAtLeastOne);
  v.knob("extra_acked_rounds", c.extra_acked_rounds, kAtLeastOne);
  v.knob("min_window_packets", c.min_window_packets, kAtLeastOne);
}
template <class V>
void visit_fields(V& v, SchemeConfig& c) {
  v.alternatives("kind", c, kSchemeKinds);
}

}  // namespace mvfstrl
