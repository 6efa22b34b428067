// Package firms reads the active-fire tables of NASA's FIRMS (Fire Information
// for Resource Management System) in CSV: MODIS, VIIRS and Landsat, of the last
// days and of the archive, with their columns in any order; and brings what they
// tell into a store of hotspots.
//
// Columns and values are those of https://firms.modaps.eosdis.nasa.gov and the
// user guides of MODIS Collection 6.1 and VIIRS I-band active fire. Times are
// UTC, places WGS-84, radiative power is in MW.
package firms
