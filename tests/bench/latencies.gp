# Draws what bench.py wrote: gnuplot -e "dir='DIR'" tests/bench/latencies.gp > latencies.png
set terminal pngcairo size 1100,600 font "sans,11"
set title "Latencies: from the least over the median (the mark) to the 99th percentile" font ",14"
set grid
set logscale x
set xlabel "microseconds"
set bmargin 6
set key bottom center outside horizontal
file = dir."/latencies.data"
stats file using 2 nooutput
set yrange [STATS_records-0.3:-0.7]
plot file using 3:($0 - 0.12):2:4:ytic(1) with xerrorbars pt 7 lw 2 lc rgb "#4060c0" title "daemon", \
	file using 6:($0 + 0.12):5:7 with xerrorbars pt 5 lw 2 lc rgb "#c08a00" title "limit"
