// The code of a kernel, for vectors of `kLanes` floats. Included by one file an instruction set, each
// compiled with that set's flags; everything here has internal linkage, so that no instruction of one set
// leaks into another's code through the linker. For the same reason nothing of the standard library is
// called.
//
// Vectors are those of GCC and Clang: `a + b` is an instruction, and `a * b + c` is one where there is such
// (-ffp-contract=fast).
#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/kernel.h"

namespace mvfstrl {
namespace {

template <std::size_t kLanes, std::size_t kRows>
struct Code {
  typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
  typedef std::int32_t Int __attribute__((vector_size(kLanes * sizeof(float))));
  typedef std::uint32_t Word __attribute__((vector_size(kLanes * sizeof(float))));
  // The same in memory, anywhere.
  typedef Vec AnyVec __attribute__((aligned(4), may_alias));
  typedef Word AnyWord __attribute__((aligned(4), may_alias));

#define MVFSTRL_INLINE [[gnu::always_inline]] static inline

  MVFSTRL_INLINE Vec load(const float* from) { return *reinterpret_cast<const AnyVec*>(from); }
  MVFSTRL_INLINE void store(float* to, Vec value) { *reinterpret_cast<AnyVec*>(to) = value; }
  MVFSTRL_INLINE Vec all(float value) { return value - Vec{}; }

  // No number in `x` stays none.
  MVFSTRL_INLINE Vec at_most(Vec x, float bound) { return x > bound ? all(bound) : x; }
  MVFSTRL_INLINE Vec at_least(Vec x, float bound) { return x < bound ? all(bound) : x; }
  MVFSTRL_INLINE Vec magnitude(Vec x) { return Vec(Int(x) & 0x7fffffff); }
  MVFSTRL_INLINE Vec with_sign_of(Vec x, Vec sign) {
    return Vec((Int(x) & 0x7fffffff) | (Int(sign) & INT32_MIN));
  }

  // e^x to about one unit in the last place, x within +-87: 2^n e^r, |r| <= ln 2 / 2.
  MVFSTRL_INLINE Vec exp(Vec x) {
    x = at_least(at_most(x, 87.0F), -87.0F);
    const Vec shifted = x * 1.44269504F + 12582912.0F;  // 1.5 * 2^23: rounds to an integer in the low bits
    const Vec n = shifted - 12582912.0F;
    const Vec r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
    Vec y = r * 1.9875691500e-4F + 1.3981999507e-3F;
    y = y * r + 8.3334519073e-3F;
    y = y * r + 4.1665795894e-2F;
    y = y * r + 1.6666665459e-1F;
    y = y * r + 5.0000001201e-1F;
    y = y * (r * r) + (r + 1.0F);
    return Vec(Word(y) + (Word(shifted) << 23));
  }

  MVFSTRL_INLINE Vec sigmoid(Vec x) { return 1.0F / (1.0F + exp(-x)); }

  MVFSTRL_INLINE Vec tanh(Vec x) {
    const Vec a = magnitude(x);
    const Vec large = 1.0F - 2.0F / (exp(a + a) + 1.0F);
    const Vec z = x * x;
    Vec y = z * -5.70498872745e-3F + 2.06390887954e-2F;
    y = y * z - 5.37397155531e-2F;
    y = y * z + 1.33314422036e-1F;
    y = y * z - 3.33332819422e-1F;
    const Vec small = y * z * x + x;
    return a < 0.625F ? small : with_sign_of(large, x);
  }

  // log(1 + a), a >= 0, to less than an ulp and a half: log of u = 1 + a = 2^e (1 + f), |f| below a half.
  // What u lost of a by rounding comes back in f: a normaliser may make fifty times as much of it.
  MVFSTRL_INLINE Vec log1p(Vec a) {
    constexpr std::int32_t kRootHalf = 0x3f3504f3;
    const Vec u = 1.0F + a;
    const Int bits = Int(u) - kRootHalf;
    const Int e = bits >> 23;
    const Vec m = Vec((bits & 0x007fffff) + kRootHalf);
    const Vec lost = a - (u - 1.0F);
    const Vec f = (m - 1.0F) + lost * Vec((127 - e) << 23);
    const Vec z = f * f;
    Vec y = f * 7.0376836292e-2F - 1.1514610310e-1F;
    y = y * f + 1.1676998740e-1F;
    y = y * f - 1.2420140846e-1F;
    y = y * f + 1.4249322787e-1F;
    y = y * f - 1.6668057665e-1F;
    y = y * f + 2.0000714765e-1F;
    y = y * f - 2.4999993993e-1F;
    y = y * f + 3.3333331174e-1F;
    const Vec exponent = Vec(e + 0x4b400000) - 12582912.0F;  // e as a float
    y = y * f * z + exponent * -2.12194440e-4F;
    y = (f - 0.5F * z + y) + exponent * 0.693359375F;
    return a <= 1.0e38F ? y : a;  // infinite, or no number: stays so
  }

  static void normalise(float* x, const float* mean, const float* scale, std::size_t size) {
    for (std::size_t i = 0; i < size; i += kLanes) {
      const Vec value = load(x + i);
      const Vec compressed = with_sign_of(log1p(magnitude(value)), value);
      store(x + i, (compressed - load(mean + i)) * load(scale + i));
    }
  }

  // Weights of one input for the vectors of a panel.
  template <std::size_t kVecs>
  MVFSTRL_INLINE void expand(const float* weights, Vec (&out)[kVecs]) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVecs; ++v) out[v] = load(weights + v * kLanes);
  }
  template <std::size_t kVecs>
  MVFSTRL_INLINE void expand(const std::uint16_t* weights, Vec (&out)[kVecs]) {
    static_assert(kVecs % 2 == 0);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVecs; v += 2) {
      const Word pair = *reinterpret_cast<const AnyWord*>(weights + v * kLanes);
      out[v] = Vec(pair << 16);
      out[v + 1] = Vec(pair & 0xffff0000U);
    }
  }

  // sum += weights x, over `inputs`; returns where the weights end. A row alone keeps several partial sums,
  // so that additions need not wait for one another; rows together one for each `kBlock` inputs, so that the
  // rounding of hundreds of additions does not pile up in one.
  template <std::size_t kTile, std::size_t kVecs, class Weight>
  MVFSTRL_INLINE const Weight* multiply(const Weight* weights, Rows x, std::size_t inputs,
                                        Vec (&sum)[kTile][kVecs]) {
    constexpr std::size_t kBlock = 16;
    constexpr std::size_t kSets = kTile == 1 ? 8 / kVecs : 1;
    Vec partial[kSets][kTile][kVecs] = {};
    std::size_t k = 0;
    for (; k + kSets <= inputs; k += kSets) {
#pragma GCC unroll 8
      for (std::size_t s = 0; s < kSets; ++s) add(weights, x, k + s, partial[s]);
      if (kTile > 1 && (k + 1) % kBlock == 0) collect(partial, sum);
    }
    for (; k < inputs; ++k) add(weights, x, k, partial[0]);
    collect(partial, sum);
    return weights;
  }
  // Moves partial sums into `sum`.
  template <std::size_t kSets, std::size_t kTile, std::size_t kVecs>
  MVFSTRL_INLINE void collect(Vec (&partial)[kSets][kTile][kVecs], Vec (&sum)[kTile][kVecs]) {
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVecs; ++v) {
        Vec whole = partial[0][r][v];
#pragma GCC unroll 8
        for (std::size_t s = 1; s < kSets; ++s) whole += partial[s][r][v];
        sum[r][v] += whole;
#pragma GCC unroll 8
        for (std::size_t s = 0; s < kSets; ++s) partial[s][r][v] = Vec{};
      }
    }
  }
  template <std::size_t kTile, std::size_t kVecs, class Weight>
  MVFSTRL_INLINE void add(const Weight*& weights, Rows x, std::size_t input, Vec (&sum)[kTile][kVecs]) {
    Vec w[kVecs];
    expand(weights, w);
    weights += kVecs * kLanes;
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTile; ++r) {
      const float value = x.data[r * x.stride + input];
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVecs; ++v) sum[r][v] += w[v] * value;
    }
  }
  template <std::size_t kTile, std::size_t kVecs>
  MVFSTRL_INLINE void begin(const float* bias, Vec (&sum)[kTile][kVecs]) {
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVecs; ++v) sum[r][v] = load(bias + v * kLanes);
    }
  }

  MVFSTRL_INLINE Rows from(Rows rows, std::size_t row) {
    return {rows.data + row * rows.stride, rows.stride};
  }

  // `kTile` rows of a panel of a fully connected layer.
  template <std::size_t kTile, std::size_t kVecs, class Weight>
  static void linear_tile(const Weight* weights, const float* bias, std::size_t inputs, Rows x, Rows out,
                          bool relu) {
    Vec sum[kTile][kVecs];
    begin(bias, sum);
    multiply(weights, x, inputs, sum);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVecs; ++v) {
        store(out.data + r * out.stride + v * kLanes, relu ? at_least(sum[r][v], 0.0F) : sum[r][v]);
      }
    }
  }

  // All rows of a panel: tiles of kRows, then row by row.
  template <std::size_t kVecs, class Weight>
  static void linear_panel(const Weight* weights, const float* bias, std::size_t inputs, std::size_t rows,
                           Rows x, Rows out, bool relu) {
    std::size_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      linear_tile<kRows, kVecs>(weights, bias, inputs, from(x, r), from(out, r), relu);
    }
    for (; r < rows; ++r) linear_tile<1, kVecs>(weights, bias, inputs, from(x, r), from(out, r), relu);
  }

  template <class Weight>
  static void linear_as(const PackedLayer& layer, std::size_t rows, Rows x, Rows out, bool relu) {
    const auto* weights = static_cast<const Weight*>(layer.weights);
    for (std::size_t v = 0; v < layer.vectors; v += kPanelVectors) {
      const float* bias = layer.bias + v * kLanes;
      const Rows to{out.data + v * kLanes, out.stride};
      const std::size_t count = layer.vectors - v < kPanelVectors ? layer.vectors - v : kPanelVectors;
      if (count == 4) {
        linear_panel<4>(weights, bias, layer.inputs, rows, x, to, relu);
      } else if (count == 2) {
        linear_panel<2>(weights, bias, layer.inputs, rows, x, to, relu);
      } else if constexpr (sizeof(Weight) == sizeof(float)) {  // bfloat16 vectors come in pairs
        if (count == 3) {
          linear_panel<3>(weights, bias, layer.inputs, rows, x, to, relu);
        } else {
          linear_panel<1>(weights, bias, layer.inputs, rows, x, to, relu);
        }
      }
      weights += count * kLanes * layer.inputs;
    }
  }

  static void linear(const PackedLayer& layer, std::size_t rows, Rows x, Rows out, bool relu) {
    layer.bfloat16 ? linear_as<std::uint16_t>(layer, rows, x, out, relu)
                   : linear_as<float>(layer, rows, x, out, relu);
  }

  // `kTile` rows of one vector of an LSTM layer's units.
  template <std::size_t kTile, class Weight>
  static void lstm_tile(const Weight* weights, const float* bias, const PackedLayer& layer, Rows x, Rows h,
                        Rows cell, Rows out) {
    Vec gates[kTile][4];
    begin(bias, gates);
    weights = multiply(weights, x, layer.inputs, gates);
    multiply(weights, h, layer.recurrent, gates);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTile; ++r) {
      float* c = cell.data + r * cell.stride;
      const Vec now = sigmoid(gates[r][1]) * load(c) + sigmoid(gates[r][0]) * tanh(gates[r][2]);
      store(c, now);
      store(out.data + r * out.stride, sigmoid(gates[r][3]) * tanh(now));
    }
  }

  template <class Weight>
  static void lstm_as(const PackedLayer& layer, std::size_t rows, Rows x, Rows h, Rows cell, Rows out) {
    const auto* weights = static_cast<const Weight*>(layer.weights);
    const float* bias = layer.bias;
    for (std::size_t v = 0; v < layer.vectors; v += 4) {
      std::size_t r = 0;
      for (; r + kRows <= rows; r += kRows) {
        lstm_tile<kRows>(weights, bias, layer, from(x, r), from(h, r), from(cell, r), from(out, r));
      }
      for (; r < rows; ++r) {
        lstm_tile<1>(weights, bias, layer, from(x, r), from(h, r), from(cell, r), from(out, r));
      }
      weights += 4 * kLanes * (layer.inputs + layer.recurrent);
      bias += 4 * kLanes;
      cell.data += kLanes;
      out.data += kLanes;
    }
  }

  static void lstm(const PackedLayer& layer, std::size_t rows, Rows x, Rows h, Rows cell, Rows out) {
    layer.bfloat16 ? lstm_as<std::uint16_t>(layer, rows, x, h, cell, out)
                   : lstm_as<float>(layer, rows, x, h, cell, out);
  }

#undef MVFSTRL_INLINE

  static constexpr Kernel kernel(InstructionSet instructions) {
    return {instructions, kLanes, &normalise, &linear, &lstm};
  }
};

}  // namespace
}  // namespace mvfstrl
