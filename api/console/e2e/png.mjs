// Packs a PNG of the browser's smaller, without loss: flat areas and text, which
// a console is made of, pack best without the filters that suit photographs.
import { crc32, deflateSync, inflateSync } from 'node:zlib'

export function repack(png) {
  const chunks = []
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + png.readUInt32BE(at)) })
  }
  const head = chunks.find((c) => c.type === 'IHDR').data
  const [width, height, depth, colour, , , interlaced] = [head.readUInt32BE(0), head.readUInt32BE(4), ...head.subarray(8)]
  if (depth !== 8 || ![2, 6].includes(colour) || interlaced) return png
  const size = colour === 6 ? 4 : 3 // bytes of a pixel
  const line = width * size
  const raw = inflateSync(Buffer.concat(chunks.filter((c) => c.type === 'IDAT').map((c) => c.data)))
  const out = Buffer.alloc(raw.length) // each line begins with filter 0, none
  for (let y = 0; y < height; y++) {
    const from = y * (line + 1) + 1
    const filter = raw[from - 1]
    for (let i = from; i < from + line; i++) {
      const left = i - size >= from ? out[i - size] : 0
      const up = y > 0 ? out[i - line - 1] : 0
      const corner = y > 0 && i - size >= from ? out[i - line - 1 - size] : 0
      out[i] = raw[i] + [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]
    }
  }
  const small = Buffer.concat([png.subarray(0, 8), chunk('IHDR', head), chunk('IDAT', deflateSync(out, { level: 9, memLevel: 9 })), chunk('IEND', Buffer.alloc(0))])
  return small.length < png.length ? small : png
}

function paeth(left, up, corner) {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)]
  return a <= b && a <= c ? left : b <= c ? up : corner
}

function chunk(type, data) {
  const out = Buffer.alloc(12 + data.length)
  out.writeUInt32BE(data.length, 0)
  out.write(type, 4, 'latin1')
  data.copy(out, 8)
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length)
  return out
}
