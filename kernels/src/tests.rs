//! Every tier against the scalar one, and the scalar one against candle.

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use proptest::prelude::*;

use super::{
    Activations, Attention, Dense, DenseInput, Format, KeyValues, Linear, PackedMatrix, Processor, Queries, Screen,
    Tier, attend, dense, dot, dot::Dot, dot_bytes, gelu, layer_norm, linear, log_sum_exp, rms_norm, silu_times,
};

const GGML: [(Format, GgmlDType); 8] = [
    (Format::Q8_0, GgmlDType::Q8_0),
    (Format::Q5_0, GgmlDType::Q5_0),
    (Format::Q4_0, GgmlDType::Q4_0),
    (Format::Q5_1, GgmlDType::Q5_1),
    (Format::Q4_1, GgmlDType::Q4_1),
    (Format::Q5_K, GgmlDType::Q5K),
    (Format::Q4_K, GgmlDType::Q4K),
    (Format::Q6_K, GgmlDType::Q6K),
];

/// Numbers between -1 and 1, the same for the same seed.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn matrix(format: (Format, GgmlDType), outputs: usize, inputs: usize, seed: u64) -> (PackedMatrix, Vec<f32>) {
    let weights = Tensor::from_vec(numbers(seed, outputs * inputs), (outputs, inputs), &Device::Cpu).unwrap();
    let quantized = QTensor::quantize(&weights, format.1).unwrap();
    let packed = PackedMatrix::from_ggml(format.0, outputs, inputs, &quantized.data().unwrap()).unwrap();
    (packed, quantized.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap())
}

fn product(tier: Tier, threads: usize, layer: &Linear, values: &[f32]) -> Vec<f32> {
    let processor = Processor::new(tier, threads);
    let mut input = Activations::default();
    input.quantize(&processor, values, layer.inputs());
    let mut to = vec![f32::NAN; input.rows() * layer.outputs()];
    linear(&processor, &input, &mut [(layer, &mut to)]);
    to
}

fn tiers() -> impl Iterator<Item = Tier> {
    Tier::ALL.into_iter().filter(|tier| tier.is_supported())
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{index}: {a} is not {b}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_tier_multiplies_as_the_scalar_one(
        format in 0..GGML.len(), outputs in 1..140_usize, super_blocks in 1..3_usize, odd_blocks in 0..8_usize,
        rows in 1..40_usize, threads in 1..3_usize, seed in any::<u64>(), has_bias in any::<bool>(),
    ) {
        let is_k = GGML[format].0.ggml_block().1 == 256;
        let inputs = super_blocks * 256 + if is_k { 0 } else { odd_blocks * 32 };
        let (packed, _) = matrix(GGML[format], outputs, inputs, seed);
        let bias = numbers(seed ^ 1, outputs);
        let layer = Linear::new(packed, has_bias.then_some(&bias)).unwrap();
        let values = numbers(seed ^ 2, rows * inputs);
        let expected = product(Tier::Scalar, 1, &layer, &values);
        for tier in tiers() {
            assert_close(&product(tier, threads, &layer, &values), &expected, 1e-4);
        }
    }

    #[test]
    fn the_largest_outputs_are_found_in_four_bits(
        outputs in 1..4000_usize, blocks in 1..30_usize, rows in 1..4_usize, spike in 1..40_usize, seed in any::<u64>(),
    ) {
        let inputs = blocks * 32;
        let exact = PackedMatrix::from_f32(outputs, inputs, &numbers(seed, outputs * inputs)).unwrap();
        let screen = Screen::new(exact.in_four_bits());
        let layer = Linear::new(exact, None).unwrap();
        let mut values = numbers(seed ^ 2, rows * inputs);
        // One input may outweigh all others.
        values[seed as usize % (rows * inputs)] *= spike as f32;
        for tier in tiers() {
            let processor = Processor::new(tier, 2);
            let (mut input, mut expected) = (Activations::default(), vec![f32::NAN; 2 * rows * outputs]);
            input.quantize(&processor, &values, inputs);
            input.refine(&processor, &values);
            linear(&processor, &input, &mut [(&layer, &mut expected)]);
            let (sums, rest) = expected.split_at_mut(rows * outputs);
            sums.iter_mut().zip(rest).for_each(|(sum, rest)| *sum += *rest);
            let mut found = vec![f32::NAN; 2 * rows * outputs];
            screen.largest(&processor, &layer, &values, &mut input, &mut found);
            for (expected, found) in sums.chunks_exact(outputs).zip(found.chunks_exact(outputs)) {
                let largest = |row: &[f32]| row.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
                prop_assert_eq!(largest(expected), largest(found));
            }
        }
    }

    #[test]
    fn dense_layers_are_close_to_floats_on_every_tier(
        outputs in prop::collection::vec(1..7_usize, 1..3), steps in 1..12_usize, rows in 1..70_usize,
        odd in 0..2_usize, threads in 1..3_usize, spike in 1..60_usize, seed in any::<u64>(), is_rounded in any::<bool>(),
    ) {
        // Shapes that suit the matrix unit and others.
        let inputs = steps * 64 + odd * 32;
        let outputs: Vec<usize> = outputs.into_iter().map(|count| count * 32 + odd).collect();
        let mut values = numbers(seed ^ 9, rows * inputs);
        values[seed as usize % (rows * inputs)] *= spike as f32;
        let weights: Vec<Vec<f32>> = (0..).zip(&outputs).map(|(index, outputs)| numbers(seed ^ index, outputs * inputs)).collect();
        let bias: Vec<Vec<f32>> = (0..).zip(&outputs).map(|(index, outputs)| numbers(seed ^ index ^ 0x4d, *outputs)).collect();
        for tier in tiers() {
            let processor = Processor::new(tier, threads);
            let mut input = DenseInput::default();
            for ((outputs, weights), bias) in outputs.iter().zip(&weights).zip(&bias) {
                let matrix = PackedMatrix::from_f32(*outputs, inputs, weights).unwrap().in_four_bits();
                let mut known = weights.clone();
                let layer = if is_rounded {
                    known.chunks_exact_mut(inputs).enumerate().for_each(|(row, to)| matrix.dequantize_row(row, to));
                    Dense::new(&processor, matrix, bias).unwrap()
                } else {
                    Dense::from_f32(&processor, *outputs, inputs, weights, bias).unwrap()
                };
                prop_assert_eq!((layer.inputs(), layer.outputs()), (inputs, *outputs));
                let mut to = vec![f32::NAN; rows * outputs];
                dense(&processor, &mut input, &values, [(&layer, &mut to)]);
                for (values, found) in values.chunks_exact(inputs).zip(to.chunks_exact(*outputs)) {
                    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
                    for ((weights, bias), found) in known.chunks_exact(inputs).zip(bias).zip(found) {
                        let expected = bias + values.iter().zip(weights).map(|(a, b)| a * b).sum::<f32>();
                        // A rounding error is half a step of 127, a few deviations of the sum of all of them at most.
                        prop_assert!((found - expected).abs() <= 0.03 * (1.0 + length), "{:?}: {} is not {}", tier, found, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn every_tier_attends_as_plain_floats(
        lens in prop::collection::vec(1..80_usize, 1..3), count in 1..10_usize, half in any::<bool>(), seed in any::<u64>(),
    ) {
        let (size, heads) = (if half { 32 } else { 64 }, 2);
        let queries = numbers(seed, count * size);
        let runs: Vec<(KeyValues, Vec<f32>, Vec<f32>)> = lens.iter().enumerate().map(|(index, &len)| {
            let (keys, values) = (numbers(seed ^ index as u64 ^ 3, len * heads * size), numbers(seed ^ index as u64 ^ 5, len * heads * size));
            let mut run = KeyValues::new(heads, size, 100);
            // Some positions at once and the rest one by one or as they come.
            let (first, second) = (len / 3 * heads * size, (len / 3 + len.min(2) / 2) * heads * size);
            for part in [0..first, first..second, second..keys.len()] {
                run.extend(&keys[part.clone()], &values[part]);
            }
            (run.snapshot(), keys, values)
        }).collect();
        let mut expected = vec![0.0; count * size];
        for (query, to) in queries.chunks(size).zip(expected.chunks_mut(size)) {
            let mut total = 0.0;
            for (_, keys, values) in &runs {
                for (key, value) in keys.chunks(heads * size).zip(values.chunks(heads * size)) {
                    let weight = query.iter().zip(&key[size..]).map(|(q, k)| q * k).sum::<f32>().exp();
                    total += weight;
                    to.iter_mut().zip(&value[size..]).for_each(|(to, value)| *to += weight * value);
                }
            }
            for to in to.iter_mut() {
                *to /= total;
            }
        }
        let second = runs.get(1).map_or((&runs[0].0, 0), |(run, _, _)| (run, run.len()));
        let queries_at = Queries { begin: 0, stride: size, count };
        let task = Attention { queries: queries_at, runs: [(&runs[0].0, runs[0].0.len()), second], head: 1 };
        for tier in tiers() {
            let mut to = vec![f32::NAN; count * size];
            attend(&Processor::new(tier, 1), &queries, &mut to, &[task], 1.0);
            assert_close(&to, &expected, 4e-3);
        }
    }
}

#[test]
fn packing_changes_no_weight_and_scalar_products_are_those_of_candle() {
    for format in GGML {
        let (outputs, inputs, rows) = (70, 512, 5);
        let (packed, weights) = matrix(format, outputs, inputs, 11);
        let mut row = vec![0.0; inputs];
        for (index, weights) in weights.chunks(inputs).enumerate() {
            packed.dequantize_row(index, &mut row);
            assert_eq!(row, weights, "{format:?}");
        }
        let values = numbers(12, rows * inputs);
        let weights = Tensor::from_vec(weights, (outputs, inputs), &Device::Cpu).unwrap();
        let inputs = Tensor::from_slice(&values, (rows, inputs), &Device::Cpu).unwrap();
        let expected = inputs.matmul(&weights.t().unwrap()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let found = product(Tier::Scalar, 1, &Linear::new(packed, None).unwrap(), &values);
        let error = found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let size = expected.iter().map(|value| value * value).sum::<f32>();
        assert!((error / size).sqrt() < 0.01, "{format:?}: {}", (error / size).sqrt());
    }
}

#[test]
fn refined_activations_multiply_nearly_as_floats_do() {
    let (outputs, inputs, rows) = (70, 512, 3);
    let (packed, weights) = matrix((Format::Q4_K, GgmlDType::Q4K), outputs, inputs, 21);
    let layer = Linear::new(packed, None).unwrap();
    let values = numbers(22, rows * inputs);
    let processor = Processor::new(Tier::best(), 2);
    let mut input = Activations::default();
    input.quantize(&processor, &values, inputs);
    input.refine(&processor, &values);
    let mut sums = vec![0.0; 2 * rows * outputs];
    linear(&processor, &input, &mut [(&layer, &mut sums)]);
    let (found, rest) = sums.split_at(rows * outputs);
    for (row, values) in values.chunks(inputs).enumerate() {
        for (output, weights) in weights.chunks(inputs).enumerate() {
            let expected: f64 = weights.iter().zip(values).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            let at = row * outputs + output;
            let error = f64::from(found[at] + rest[at]) - expected;
            assert!(error.abs() < 1e-3, "{error} of {expected}");
        }
    }
}

#[test]
fn functions_are_those_of_their_definitions() {
    let values: Vec<f32> = numbers(5, 64 * 7).iter().map(|value| value * 8.0).collect();
    let tensor = Tensor::from_slice(&values, (7, 64), &Device::Cpu).unwrap();
    let list = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (weight, bias, other) = (numbers(6, 64), numbers(7, 64), numbers(8, 64 * 7));
    for tier in tiers() {
        let processor = Processor::new(tier, 2);
        let mut found = values.clone();
        gelu(&processor, &mut found);
        assert_close(&found, &list(tensor.gelu_erf().unwrap()), 1e-5);
        let mut found = values.clone();
        silu_times(&processor, &mut found, &other);
        let expected: Vec<f32> = values.iter().zip(&other).map(|(x, up)| x / (1.0 + (-x).exp()) * up).collect();
        assert_close(&found, &expected, 1e-5);
        let expected: Vec<f32> = tensor.log_sum_exp(1).unwrap().to_vec1().unwrap();
        assert_close(&log_sum_exp(&processor, &values, 64), &expected, 1e-5);
        assert_close(&log_sum_exp(&processor, &[1.0, 0.0, -3.0], 3), &[1.326_563], 1e-5);
        let (mut found, mut sums) = (values.clone(), values.clone());
        layer_norm(&processor, &mut found, Some(&other), [&weight, &bias], 1e-6);
        let mut scaled = vec![0.0; values.len()];
        rms_norm(&processor, &mut sums, Some(&other), &weight, 1e-6, &mut scaled);
        for (row, sums) in sums.chunks(64).enumerate() {
            let plain: Vec<f32> = (0..64).map(|at| values[row * 64 + at] + other[row * 64 + at]).collect();
            assert_close(sums, &plain, 1e-6);
            let mean = plain.iter().sum::<f32>() / 64.0;
            let variance = plain.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 64.0;
            let square = plain.iter().map(|x| x * x).sum::<f32>() / 64.0;
            let normal: Vec<f32> =
                (0..64).map(|at| (plain[at] - mean) / variance.sqrt() * weight[at] + bias[at]).collect();
            assert_close(&found[row * 64..][..64], &normal, 1e-4);
            let scaled_row: Vec<f32> = (0..64).map(|at| plain[at] / square.sqrt() * weight[at]).collect();
            assert_close(&scaled[row * 64..][..64], &scaled_row, 1e-4);
        }
    }
}

#[test]
fn dot_products_take_every_number() {
    for size in [0, 1, 7, 31, 64, 100, 384, 387] {
        let (a, b) = (numbers(31, size), numbers(32, size));
        let bytes: Vec<i8> = a.iter().map(|value| (value * 127.0) as i8).collect();
        let expected: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        let expected_of_bytes: f32 = bytes.iter().zip(&b).map(|(a, b)| f32::from(*a) * b).sum();
        for tier in tiers() {
            let found = [tier.run(Dot { a: &a, b: &b }), tier.run(Dot { a: &bytes, b: &b })];
            assert_close(&found, &[expected, expected_of_bytes], 1e-4);
        }
        assert_close(&[dot(&a, &b), dot_bytes(&bytes, &b)], &[expected, expected_of_bytes], 1e-4);
    }
}

#[test]
fn foreign_shapes_and_numbers_are_refused() {
    assert!(PackedMatrix::from_ggml(Format::Q4_0, 2, 33, &[0; 36]).is_err());
    assert!(PackedMatrix::from_ggml(Format::Q4_0, 2, 32, &[0; 35]).is_err());
    assert!(PackedMatrix::from_ggml(Format::Q8_0, 1, 32, &[0xFF; 34]).is_err());
    assert!(PackedMatrix::from_f32(1, 32, &[f32::NAN; 32]).is_err());
    let packed = PackedMatrix::from_f32(1, 32, &[1.0; 32]).unwrap();
    assert!(Linear::new(packed, Some(&[1.0, 2.0])).is_err());
}

#[test]
fn a_screen_leaves_most_outputs_out_and_what_is_not_a_number_in() {
    let (outputs, inputs) = (8000, 256);
    let mut weights = numbers(3, outputs * inputs);
    let values = numbers(4, inputs);
    // One row points to where the values do, as a model's next word mostly does.
    weights[5000 * inputs..5001 * inputs].copy_from_slice(&values);
    let exact = PackedMatrix::from_f32(outputs, inputs, &weights).unwrap();
    assert!(Screen::is_worth_it(&exact));
    assert!(!Screen::is_worth_it(&exact.in_four_bits()));
    let (screen, layer) = (Screen::new(exact.in_four_bits()), Linear::new(exact, None).unwrap());
    let (mut input, mut to) = (Activations::default(), vec![0.0; 2 * outputs]);
    let processor = Processor::new(Tier::best(), 1);
    let looked_at = screen.largest(&processor, &layer, &values, &mut input, &mut to);
    assert!((32..outputs / 10).contains(&looked_at), "{looked_at}");
    assert!((to[5000] - values.iter().map(|value| value * value).sum::<f32>()).abs() < 0.1, "{}", to[5000]);
    screen.largest(&processor, &layer, &vec![f32::NAN; inputs], &mut input, &mut to);
    assert!(to[..outputs].iter().any(|value| value.is_nan()));
}
