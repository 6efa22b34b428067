// Readiness as the duty officer's table has it. No Vue, no language.
import type { Area, AreaReadiness, FieldError, Posture } from '../api'

export const postures: Posture[] = ['normal', 'standby', 'defence', 'combat_ready', 'emergency']
export const professional = 'professional'

export interface ReadinessGroup { code: string; name: string; rows: AreaReadiness[] }

const rise = (r: AreaReadiness) => postures.indexOf(r.proposed) - postures.indexOf(r.posture)

/** Those that wait for a person first, what asks for most on top. */
export function byNeed(a: AreaReadiness, b: AreaReadiness): number {
  return Number(b.open) - Number(a.open) || Number(b.area === professional) - Number(a.area === professional)
    || postures.indexOf(b.proposed) - postures.indexOf(a.proposed) || rise(b) - rise(a) || a.area.localeCompare(b.area)
}

/** groupsOf gives the professional teams, then a group for each county, those with open proposals first. */
export function groupsOf(rows: AreaReadiness[], areas: Map<string, Area>): ReadinessGroup[] {
  const groups = new Map<string, ReadinessGroup>()
  for (const r of [...rows].sort(byNeed)) {
    const code = r.area === professional ? professional : areas.get(r.area)?.parent ?? ''
    const g = groups.get(code) ?? { code, name: areas.get(code)?.name ?? code, rows: [] }
    g.rows.push(r)
    groups.set(code, g)
  }
  const open = (g: ReadinessGroup) => g.rows.some((r) => r.open)
  return [...groups.values()].sort((a, b) =>
    Number(b.code === professional) - Number(a.code === professional) || Number(open(b)) - Number(open(a)) || a.code.localeCompare(b.code))
}

/** movedOf reads from a conflict which of the areas that were sent are proposed something else by now. */
export function movedOf(errors: FieldError[], sent: string[]): string[] {
  return errors.flatMap((e) => {
    const i = /^areas\[(\d+)\]/.exec(e.field)?.[1]
    return i !== undefined && sent[Number(i)] !== undefined ? [sent[Number(i)]!] : []
  })
}

/** A word is needed where the posture is not what is proposed. */
export const needsWord = (rows: AreaReadiness[], posture: Posture | ''): boolean => posture !== '' && rows.some((r) => r.proposed !== posture)
