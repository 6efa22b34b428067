// Pictures for the map, drawn on a canvas here: no glyph or sprite server.
import type { Liveness } from '../api'

export const livenessColour: Record<Liveness, string> = {
  online: '#4fd08b', late: '#ffb74d', silent: '#ff6b62', never_seen: '#9aaab8', unknown: '#c3ced8',
}
export const livenesses: Liveness[] = ['online', 'late', 'silent', 'never_seen', 'unknown']

const ratio = 2

function canvas(width: number, height: number): CanvasRenderingContext2D {
  const c = document.createElement('canvas')
  c.width = Math.ceil(width * ratio)
  c.height = Math.ceil(height * ratio)
  const g = c.getContext('2d', { willReadFrequently: true })
  if (!g) throw new Error('no 2d canvas')
  g.scale(ratio, ratio)
  return g
}

export interface Picture { image: ImageData; pixelRatio: number }

const picture = (g: CanvasRenderingContext2D): Picture => ({
  image: g.getImageData(0, 0, g.canvas.width, g.canvas.height), pixelRatio: ratio,
})

/** A device: a disc for a tracker, a square for a sensor; its form tells the liveness as well as its colour. */
export function devicePicture(kind: 'tracker' | 'sensor', liveness: Liveness, chosen = false): Picture {
  const size = chosen ? 22 : 13
  const g = canvas(size, size)
  const middle = size / 2
  const shape = (r: number) => {
    g.beginPath()
    if (kind === 'tracker') g.arc(middle, middle, r, 0, 2 * Math.PI)
    else g.rect(middle - r * 0.88, middle - r * 0.88, r * 1.76, r * 1.76)
  }
  if (chosen) {
    g.strokeStyle = '#fff'
    g.lineWidth = 2
    shape(9)
    g.stroke()
    return picture(g)
  }
  g.fillStyle = '#0b1218'
  shape(6)
  g.fill()
  g.fillStyle = g.strokeStyle = livenessColour[liveness]
  g.lineWidth = 1.7
  shape(4.6)
  if (liveness === 'never_seen' || liveness === 'unknown') {
    g.stroke()
    if (liveness === 'unknown') {
      shape(1.5)
      g.fill()
    }
  } else {
    g.fill()
  }
  if (liveness === 'silent') {
    g.strokeStyle = '#2a0704'
    g.lineWidth = 1.6
    g.beginPath()
    g.moveTo(middle - 2.3, middle - 2.3)
    g.lineTo(middle + 2.3, middle + 2.3)
    g.moveTo(middle + 2.3, middle - 2.3)
    g.lineTo(middle - 2.3, middle + 2.3)
    g.stroke()
  }
  if (liveness === 'late') {
    g.fillStyle = '#2e1c00'
    g.beginPath()
    g.arc(middle, middle, 1.7, 0, 2 * Math.PI)
    g.fill()
  }
  return picture(g)
}

/** The name of an area, haloed. */
export function labelPicture(text: string): Picture {
  const font = "12px system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
  const probe = canvas(1, 1)
  probe.font = font
  const g = canvas(probe.measureText(text).width + 8, 18)
  g.font = font
  g.textBaseline = 'middle'
  g.lineJoin = 'round'
  g.strokeStyle = '#0e151c'
  g.lineWidth = 3
  g.strokeText(text, 4, 9)
  g.fillStyle = '#b9c8d6'
  g.fillText(text, 4, 9)
  return picture(g)
}

/** Stripes to lay over a township: close ones for a level that is unknown, wide ones for one that is marked. */
export function hatchPicture(kind: 'unknown' | 'marked'): Picture {
  const size = kind === 'unknown' ? 8 : 12
  const g = canvas(size, size)
  g.strokeStyle = kind === 'unknown' ? '#b9c5cf' : '#0b1218'
  g.lineWidth = kind === 'unknown' ? 1 : 2
  for (const shift of [-size, 0, size]) {
    g.beginPath()
    g.moveTo(shift, size)
    g.lineTo(shift + size, 0)
    g.stroke()
  }
  return picture(g)
}

export const hotspotColour = { low: '#ffd9a0', nominal: '#ff9d3c', high: '#ff5a2a', masked: '#8b98a3' }

/** A hotspot: a flame-coloured lozenge; one that is masked is grey and hollow. */
export function hotspotPicture(kind: keyof typeof hotspotColour): Picture {
  const size = 15
  const g = canvas(size, size)
  const m = size / 2
  const lozenge = (r: number) => {
    g.beginPath()
    g.moveTo(m, m - r)
    g.lineTo(m + r, m)
    g.lineTo(m, m + r)
    g.lineTo(m - r, m)
    g.closePath()
  }
  g.fillStyle = '#0b1218'
  lozenge(7)
  g.fill()
  g.fillStyle = g.strokeStyle = hotspotColour[kind]
  g.lineWidth = 1.8
  lozenge(kind === 'masked' ? 4.6 : 5.4)
  if (kind === 'masked') g.stroke()
  else g.fill()
  return picture(g)
}
