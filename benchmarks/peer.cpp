// A network by column, as somebody who knows the compiler's vectors writes it in a day. The widths come with -D.
//
// Rows lie in the lanes. A block of rows is gathered once; of each layer, a tile of outputs times a few vectors stays in
// registers while all inputs are added to it, and the weights of the tile stay in the first-level cache.
#include <cstdint>
#include <cstring>
#include <memory>

#ifdef __AVX512F__
constexpr int LANES = 16, VECTORS = 4, OUTPUTS = 6;  // 24 of 32 registers
#else
constexpr int LANES = 8, VECTORS = 3, OUTPUTS = 4;  // 12 of 16 registers
#endif
constexpr int TILE = LANES * VECTORS;
constexpr int TILES = 4;
constexpr int ROWS = TILE * TILES;  // of a block

typedef float Vector __attribute__((vector_size(LANES * 4)));
typedef int32_t Index __attribute__((vector_size(LANES * 4)));

constexpr int WIDTHS[] = {VECML_WIDTHS};
constexpr int LAYERS = sizeof(WIDTHS) / sizeof(int) - 1;

constexpr int widest() {
    int most = 0;
    for (int width : WIDTHS) most = width > most ? width : most;
    return most;
}

template <int OUT, bool RELU>
static inline void tile(int inputs, const float* weight, const float* bias, const Vector* in, Vector* out) {
    Vector sum[OUT][VECTORS];
    for (int o = 0; o < OUT; o++)
        for (int v = 0; v < VECTORS; v++) sum[o][v] = Vector{} + bias[o];
    for (int i = 0; i < inputs; i++) {
        const Vector* x = in + i * (ROWS / LANES);
        for (int o = 0; o < OUT; o++)
            for (int v = 0; v < VECTORS; v++) sum[o][v] += weight[o * inputs + i] * x[v];
    }
    for (int o = 0; o < OUT; o++)
        for (int v = 0; v < VECTORS; v++) {
            Vector value = sum[o][v];
            out[o * (ROWS / LANES) + v] = RELU ? (value > 0 ? value : Vector{}) : value;
        }
}

template <int IN, int OUT, bool RELU>
static void layer(const float* weight, const float* bias, const Vector* in, Vector* out) {
    constexpr int WHOLE = OUT / OUTPUTS * OUTPUTS, REST = OUT - WHOLE;
    for (int o = 0; o < WHOLE; o += OUTPUTS)
        for (int t = 0; t < TILES; t++)
            tile<OUTPUTS, RELU>(IN, weight + o * IN, bias + o, in + t * VECTORS, out + o * (ROWS / LANES) + t * VECTORS);
    if constexpr (REST > 0)
        for (int t = 0; t < TILES; t++)
            tile<REST, RELU>(IN, weight + WHOLE * IN, bias + WHOLE, in + t * VECTORS,
                             out + WHOLE * (ROWS / LANES) + t * VECTORS);
}

// `parameters` are the weights (out, in) and biases, layer after layer. The result is in the buffer that is returned.
template <int L>
static const Vector* layers(const float* parameters, Vector* in, Vector* out) {
    if constexpr (L == LAYERS) {
        return in;
    } else {
        constexpr int IN = WIDTHS[L], OUT = WIDTHS[L + 1];
        layer<IN, OUT, (L + 1 < LAYERS)>(parameters, parameters + IN * OUT, in, out);
        return layers<L + 1>(parameters + IN * OUT + OUT, out, in);
    }
}

extern "C" void labels(const float* x, int64_t stride, int64_t rows, const float* parameters, int64_t* out, int threads) {
    constexpr int FEATURES = WIDTHS[0], CLASSES = WIDTHS[LAYERS];
    const int64_t blocks = (rows + ROWS - 1) / ROWS;
#pragma omp parallel num_threads(threads)
    {
        constexpr std::size_t SIZE = std::size_t(widest()) * (ROWS / LANES);
        std::unique_ptr<Vector[]> first(new Vector[SIZE]()), second(new Vector[SIZE]());
#pragma omp for schedule(dynamic, 16)
        for (int64_t block = 0; block < blocks; block++) {
            const int64_t start = block * ROWS, left = rows - start;
            const std::size_t count = std::size_t(left < ROWS ? left : ROWS);
            for (int f = 0; f < FEATURES; f++)
                std::memcpy(first.get() + f * (ROWS / LANES), x + f * stride + start, count * sizeof(float));
            const Vector* logit = layers<0>(parameters, first.get(), second.get());
            int32_t label[ROWS];
            for (int v = 0; v < ROWS / LANES; v++) {
                Vector best = logit[v];
                Index index = {};
                for (int c = 1; c < CLASSES; c++) {
                    const Vector value = logit[c * (ROWS / LANES) + v];
                    const Index more = value > best;
                    index = more ? Index{} + c : index;
                    best = more ? value : best;
                }
                std::memcpy(label + v * LANES, &index, sizeof index);
            }
            for (std::size_t row = 0; row < count; row++) out[start + row] = label[row];
        }
    }
}
