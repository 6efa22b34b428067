import { describe, expect, it } from 'vitest'
import type { Area, Team } from '../api'
import { pickTeams } from './targets'

const area = (code: string, parent: string): Area =>
  ({ code, name: code, level: 'township', parent, lat: 0, lon: 0, surveyed: true })
const team = (id: string, kind: Team['kind'], a: string): Team =>
  ({ id, name: id, kind, area: a, area_name: a, lat: 0, lon: 0, members: 1, contact: '', phone: '' })

const areas = [area('1306', ''), area('130633', '1306'), area('130633101', '130633'), area('130630', '1306')]
const teams = [
  team('city', 'professional', '1306'),
  team('yi', 'professional', '130633'),
  team('yi-1', 'township', '130633101'),
  team('lai', 'professional', '130630'),
]
const ids = (t: { areas?: string[]; teams?: string[]; kinds?: string[] }) =>
  pickTeams(teams, areas, { areas: [], teams: [], kinds: [], ...t }).map((x) => x.id)

describe('pickTeams', () => {
  it('picks nobody when nothing is chosen', () => expect(ids({})).toEqual([]))
  it('picks an area and what lies below it', () => expect(ids({ areas: ['130633'] })).toEqual(['yi', 'yi-1']))
  it('keeps only the kinds within the areas', () =>
    expect(ids({ areas: ['130633'], kinds: ['township'] })).toEqual(['yi-1']))
  it('takes kinds without areas from the whole scope', () =>
    expect(ids({ kinds: ['professional'] })).toEqual(['city', 'yi', 'lai']))
  it('keeps a named team whatever its kind', () =>
    expect(ids({ areas: ['130633'], kinds: ['township'], teams: ['lai'] })).toEqual(['yi-1', 'lai']))
})
