import { expect, it } from 'vitest'
import { pathTo, placeOf, type Place } from './place'

it.each<[string, Place]>([
  ['/', { page: 'watch', device: '' }],
  ['/team', { page: 'watch', device: '' }],
  ['/readiness', { page: 'readiness', device: '' }],
  ['/devices', { page: 'devices', device: '' }],
  ['/devices/wd-00001', { page: 'devices', device: 'wd-00001' }],
  ['/devices/a%2Fb', { page: 'devices', device: 'a/b' }],
  ['/devices/%E0', { page: 'devices', device: '' }],
])('%s', (path, place) => {
  expect(placeOf(path)).toEqual(place)
  expect(placeOf(pathTo(place))).toEqual(place)
})
