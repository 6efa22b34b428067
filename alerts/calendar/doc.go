// Package calendar tells Chinese lunar days (农历) and the 24 solar terms
// (二十四节气) of 1900 to 2100. It is a table, made beforehand from computed new
// moons and solar longitudes under the rules of GB/T 33661-2017: a month begins
// on the day of the new moon, the month with the winter solstice is the 11th,
// and of 13 months between two of these the first without a major term is the
// leap month.
//
// Days are those of China: from 1929 on of UTC+8, before then of the mean solar
// time of Beijing (UTC+7:45:40), as calendars were made at the time. One month
// before 1912 follows what was published then and not the computed new moon:
// that of 24 April 1906.
//
// Two new moons come so near to midnight that today's forecasts of the Earth's
// rotation do not settle their days. The month that others begin on 28 September
// 2057 begins here on the 29th; that of 7 August 2097, which others begin on the
// 8th, here on the 7th. Nobody knows better yet.
package calendar
