// A model of SeeWhy on Android: an upright image to an answer. Not built by the export: see README.md.
package app.seewhy

import android.content.Context
import android.graphics.Bitmap
import java.io.File
import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.min
import org.json.JSONObject
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

/** `answer` is the label, "not sure" or "out of distribution". */
data class Answer(val label: String, val confidence: Double, val answer: String)

class SeeWhyModel(context: Context) {
    private val about = JSONObject(context.assets.open("model.json").bufferedReader().readText())
    private val rule = about.getJSONObject("rule")
    private val decision = about.getJSONObject("decision")
    private val classes = about.getJSONArray("classes").let { all -> List(all.length()) { all.getString(it) } }
    private val size = rule.getInt("size")
    private val module: Module

    init {
        val file = File(context.filesDir, "${about.getString("sha256")}.pte")
        if (!file.exists()) context.assets.open("model.pte").use { from -> file.outputStream().use { from.copyTo(it) } }
        module = Module.load(file.path)
    }

    /** Answers to an image that is already turned upright (by its EXIF orientation). */
    fun predict(image: Bitmap): Answer {
        val shape = longArrayOf(1, size.toLong(), size.toLong(), 3)
        val outputs = module.forward(EValue.from(Tensor.fromBlobUnsigned(input(image), shape)))
        return decide(outputs[0].toTensor().dataAsFloatArray)
    }

    fun decide(logits: FloatArray): Answer {
        val best = logits.indices.maxByOrNull { logits[it] }!!
        val highest = logits[best].toDouble()
        val temperature = decision.getDouble("temperature")
        val confidence = 1 / logits.sumOf { exp((it - highest) / temperature) }
        var answer = classes[best]
        if (!decision.isNull("threshold") && confidence < decision.getDouble("threshold")) answer = "not sure"
        if (!decision.isNull("scope")) {
            val scope = decision.getJSONObject("scope")
            val score = when (scope.getString("score")) {
                "probability" -> confidence
                "max_logit" -> highest
                "energy" -> highest + ln(logits.sumOf { exp(it - highest) })
                else -> error("similarity is not in this example")
            }
            if (score < scope.getDouble("threshold")) answer = "out of distribution"
        }
        return Answer(classes[best], confidence, answer)
    }

    /** What the network sees: RGB, size x size x 3 bytes, by the input rule. */
    fun input(image: Bitmap): ByteArray {
        val store = rule.getInt("store")
        val across = side(image.width, image.height, store)
        val down = side(image.height, image.width, store)
        val part = resize(image, across, down)
        val start = (store - size) / 2
        return ByteArray(3 * size * size) { at ->
            val x = start + at / 3 % size - across.offset
            val y = start + at / 3 / size - down.offset
            val inside = x in 0 until across.stored && y in 0 until down.stored
            (if (inside) part[3 * (y * across.stored + x) + at % 3] else 128).toByte()
        }
    }

    private class Side(val start: Int, val length: Int, val offset: Int, val stored: Int)

    private fun side(length: Int, other: Int, store: Int): Side = when (rule.getString("fit")) {
        "squash" -> Side(0, length, 0, store)
        "crop" -> min(length, other).let { Side((length - it) / 2, it, 0, store) }
        else -> max(1, Math.rint(store.toDouble() * length / max(length, other)).toInt()).let { Side(0, length, (store - it) / 2, it) }
    }

    private class Taps(val first: Int, val weights: IntArray)

    /** For each output pixel the input pixels that count, in fixed point, as Pillow's `resize` has them. */
    private fun taps(whole: Int, side: Side): List<Taps> {
        val bicubic = rule.getString("interpolation") == "bicubic"
        val scale = side.length.toDouble() / side.stored
        val stretch = max(1.0, scale)
        val support = (if (bicubic) 2 else 1) * stretch
        return List(side.stored) { place ->
            val centre = side.start + (place + 0.5) * scale
            val first = max(0, (centre - support + 0.5).toInt())
            val end = min(whole, (centre + support + 0.5).toInt())
            val values = DoubleArray(end - first) { filter(abs((it + first - centre + 0.5) / stretch), bicubic) }
            val total = values.sum()
            Taps(first, IntArray(values.size) { (values[it] / total * ONE + if (values[it] < 0) -0.5 else 0.5).toInt() })
        }
    }

    private fun filter(x: Double, bicubic: Boolean): Double = when {
        !bicubic -> max(0.0, 1 - x)
        x < 1 -> (1.5 * x - 2.5) * x * x + 1
        x < 2 -> ((-0.5 * x + 2.5) * x - 4) * x + 2
        else -> 0.0
    }

    private fun resize(image: Bitmap, across: Side, down: Side): IntArray {
        val columns = taps(image.width, across)
        val rows = taps(image.height, down)
        val top = rows.first().first
        val height = rows.maxOf { it.first + it.weights.size } - top
        val stride = 3 * across.stored
        val between = IntArray(stride * height)
        val line = IntArray(image.width)
        for (y in 0 until height) {
            image.getPixels(line, 0, image.width, 0, top + y, image.width, 1)
            columns.forEachIndexed { x, taps ->
                for (channel in 0..2) {
                    var sum = ONE / 2
                    taps.weights.forEachIndexed { k, weight -> sum += (line[taps.first + k] shr (16 - 8 * channel) and 255) * weight }
                    between[stride * y + 3 * x + channel] = (sum shr PRECISION).coerceIn(0, 255)
                }
            }
        }
        return IntArray(stride * down.stored) { at ->
            val taps = rows[at / stride]
            var sum = ONE / 2
            taps.weights.forEachIndexed { k, weight -> sum += between[stride * (taps.first - top + k) + at % stride] * weight }
            (sum shr PRECISION).coerceIn(0, 255)
        }
    }

    private companion object {
        const val PRECISION = 22
        const val ONE = 1 shl PRECISION
    }
}
