// A model of SeeWhy on iOS: an upright image to an answer. Not built by the export: see README.md.
import CoreGraphics
import ExecuTorch
import Foundation

/// `answer` is the label, "not sure" or "out of distribution".
struct Answer { let label: String, confidence: Double, answer: String }

final class SeeWhyModel {
  struct About: Decodable {
    struct Rule: Decodable { let size: Int, store: Int, fit: String, interpolation: String }
    struct Scope: Decodable { let score: String, threshold: Double }
    struct Decision: Decodable { let temperature: Double, threshold: Double?, scope: Scope? }
    let classes: [String], rule: Rule, decision: Decision
  }

  let about: About
  private let module: Module

  init(bundle: Bundle = .main) throws {
    guard let json = bundle.url(forResource: "model", withExtension: "json"),
      let program = bundle.url(forResource: "model", withExtension: "pte")
    else { throw CocoaError(.fileNoSuchFile) }
    about = try JSONDecoder().decode(About.self, from: Data(contentsOf: json))
    module = Module(filePath: program.path)
    try module.load("forward")
  }

  /// Answers to an image that is already turned upright (by its EXIF orientation).
  func predict(_ image: CGImage) throws -> Answer {
    let size = about.rule.size
    let tensor = Tensor<UInt8>(input(image), shape: [1, size, size, 3])
    let outputs = try module.forward(tensor)
    let logits: Tensor<Float> = try Tensor(outputs[0])
    return decide(logits.scalars().map(Double.init))
  }

  func decide(_ logits: [Double]) -> Answer {
    let highest = logits.max()!, best = logits.firstIndex(of: highest)!
    let confidence = 1 / logits.reduce(0) { $0 + exp(($1 - highest) / about.decision.temperature) }
    var answer = about.classes[best]
    if let threshold = about.decision.threshold, confidence < threshold { answer = "not sure" }
    if let scope = about.decision.scope {
      let score: Double
      switch scope.score {
      case "probability": score = confidence
      case "max_logit": score = highest
      case "energy": score = highest + log(logits.reduce(0) { $0 + exp($1 - highest) })
      default: fatalError("similarity is not in this example")
      }
      if score < scope.threshold { answer = "out of distribution" }
    }
    return Answer(label: about.classes[best], confidence: confidence, answer: answer)
  }

  /// What the network sees: RGB, size x size x 3 bytes, by the input rule.
  func input(_ image: CGImage) -> [UInt8] {
    let rule = about.rule
    let across = side(image.width, image.height), down = side(image.height, image.width)
    let part = resize(rgba(image), image.width, image.height, across, down)
    let start = (rule.store - rule.size) / 2
    return (0..<3 * rule.size * rule.size).map { at in
      let x = start + at / 3 % rule.size - across.offset, y = start + at / 3 / rule.size - down.offset
      guard 0..<across.stored ~= x, 0..<down.stored ~= y else { return 128 }
      return part[3 * (y * across.stored + x) + at % 3]
    }
  }

  /// The pixels in sRGB on white, four bytes each.
  private func rgba(_ image: CGImage) -> [UInt8] {
    var pixels = [UInt8](repeating: 255, count: 4 * image.width * image.height)
    let whole = CGRect(x: 0, y: 0, width: image.width, height: image.height)
    pixels.withUnsafeMutableBytes { bytes in
      let context = CGContext(
        data: bytes.baseAddress, width: image.width, height: image.height, bitsPerComponent: 8,
        bytesPerRow: 4 * image.width, space: CGColorSpace(name: CGColorSpace.sRGB)!,
        bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)!
      context.setFillColor(red: 1, green: 1, blue: 1, alpha: 1)
      context.fill(whole)
      context.draw(image, in: whole)
    }
    return pixels
  }

  private struct Side { let start: Int, length: Int, offset: Int, stored: Int }

  private func side(_ length: Int, _ other: Int) -> Side {
    let store = about.rule.store
    switch about.rule.fit {
    case "squash": return Side(start: 0, length: length, offset: 0, stored: store)
    case "crop":
      let kept = min(length, other)
      return Side(start: (length - kept) / 2, length: kept, offset: 0, stored: store)
    default:
      let share = Double(store * length) / Double(max(length, other))
      let stored = max(1, Int(share.rounded(.toNearestOrEven)))
      return Side(start: 0, length: length, offset: (store - stored) / 2, stored: stored)
    }
  }

  private static let precision = 22

  /// For each output pixel the input pixels that count, in fixed point, as Pillow's `resize` has them.
  private func taps(_ whole: Int, _ side: Side) -> [(first: Int, weights: [Int])] {
    let bicubic = about.rule.interpolation == "bicubic"
    let scale = Double(side.length) / Double(side.stored), stretch = max(1, scale)
    let support = (bicubic ? 2 : 1) * stretch
    return (0..<side.stored).map { place in
      let centre = Double(side.start) + (Double(place) + 0.5) * scale
      let first = max(0, Int(centre - support + 0.5)), end = min(whole, Int(centre + support + 0.5))
      let values = (first..<end).map { filter(abs((Double($0) - centre + 0.5) / stretch), bicubic) }
      let total = values.reduce(0, +), one = Double(1 << Self.precision)
      return (first, values.map { Int($0 / total * one + ($0 < 0 ? -0.5 : 0.5)) })
    }
  }

  private func filter(_ x: Double, _ bicubic: Bool) -> Double {
    if !bicubic { return max(0, 1 - x) }
    if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0
  }

  private func resize(_ pixels: [UInt8], _ width: Int, _ height: Int, _ across: Side, _ down: Side) -> [UInt8] {
    let columns = taps(width, across), rows = taps(height, down)
    let top = rows[0].first, bottom = rows.map { $0.first + $0.weights.count }.max()!
    let stride = 3 * across.stored, half = 1 << (Self.precision - 1)
    let byte = { (sum: Int) in UInt8(min(255, max(0, sum >> Self.precision))) }
    var between = [UInt8](repeating: 0, count: stride * (bottom - top))
    for y in top..<bottom {
      for (x, taps) in columns.enumerated() {
        for channel in 0..<3 {
          var sum = half
          for (k, weight) in taps.weights.enumerated() { sum += Int(pixels[4 * (y * width + taps.first + k) + channel]) * weight }
          between[stride * (y - top) + 3 * x + channel] = byte(sum)
        }
      }
    }
    return (0..<stride * down.stored).map { at in
      let taps = rows[at / stride]
      var sum = half
      for (k, weight) in taps.weights.enumerated() { sum += Int(between[stride * (taps.first - top + k) + at % stride]) * weight }
      return byte(sum)
    }
  }
}
