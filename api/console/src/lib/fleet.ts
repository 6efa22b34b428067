// Where the devices are drawn, and their way from one fix to the next.
import type { Device } from '../api'

interface Mark { from: [number, number]; to: [number, number]; begun: number; device: Device }

const glideMs = 4500 // a little less than the pause between two looks
const farDeg = 0.05 // a longer leap is not a walk: jump
const most = 1500 // more than this would cost too much to move smoothly

export type FleetData = GeoJSON.FeatureCollection<GeoJSON.Point, { id: string; kind: string; liveness: string; icon: string }>

export class Fleet {
  private marks = new Map<string, Mark>()
  private still: boolean
  constructor(still: boolean) {
    this.still = still // the person asked for little movement
  }

  /** Take what the server says now; true when something must move. */
  update(devices: Device[], now: number): boolean {
    const next = new Map<string, Mark>()
    let moving = false
    const jump = this.still || devices.length > most
    for (const device of devices) {
      const old = this.marks.get(device.id)
      // A tracker's last word may hold no fix: then it stays where it was, and
      // only one never placed is put at its registered site.
      const to = fix(device) ?? (device.kind === 'tracker' ? old?.to : undefined) ?? site(device)
      if (!to) continue
      let from = to
      if (old && !jump) {
        const shown = position(old, now)
        const far = Math.max(Math.abs(shown[0] - to[0]), Math.abs(shown[1] - to[1]))
        if (far > 0 && far < farDeg) {
          from = shown
          moving = true
        }
      }
      next.set(device.id, { from, to, begun: now, device })
    }
    this.marks = next
    return moving
  }

  where(id: string, now: number): [number, number] | undefined {
    const mark = this.marks.get(id)
    return mark && position(mark, now)
  }

  data(now: number): FleetData {
    return {
      type: 'FeatureCollection',
      features: [...this.marks.values()].map((m) => ({
        type: 'Feature',
        geometry: { type: 'Point', coordinates: position(m, now) },
        properties: { id: m.device.id, kind: m.device.kind, liveness: m.device.liveness, icon: `${m.device.kind}-${m.device.liveness}` },
      })),
    }
  }

  /** Whether all have arrived. */
  settled(now: number): boolean {
    for (const m of this.marks.values()) if (m.from !== m.to && now < m.begun + glideMs) return false
    return true
  }
}

function fix(d: Device): [number, number] | undefined {
  const v = d.last?.values
  return d.kind === 'tracker' && v?.lon !== undefined && v.lat !== undefined ? [v.lon, v.lat] : undefined
}

function site(d: Device): [number, number] | undefined {
  return d.lon !== null && d.lat !== null ? [d.lon, d.lat] : undefined
}

function position(m: Mark, now: number): [number, number] {
  const f = Math.min(1, (now - m.begun) / glideMs)
  if (m.from === m.to || f >= 1) return m.to
  return [m.from[0] + (m.to[0] - m.from[0]) * f, m.from[1] + (m.to[1] - m.from[1]) * f]
}
