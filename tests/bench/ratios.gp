# Draws what bench.py wrote: gnuplot -e "dir='DIR'" tests/bench/ratios.gp > ratios.png
set terminal pngcairo size 1100,800 font "sans,11"
set title "The daemon's cost beside that of a bare program" font ",14"
set grid
set logscale x 2
set xrange [0.5:*]
set xlabel "times the limit's cost"
set bmargin 6
set key bottom center outside horizontal
file = dir."/ratios.data"
stats file using 2 nooutput
set yrange [STATS_records-0.3:-0.7]
plot file using ($4 == 0 ? $2 : NaN):0:ytic(1) with points pt 7 ps 1.6 lc rgb "#0a7d32" title "within its aim", \
	file using ($4 == 1 ? $2 : NaN):0 with points pt 7 ps 1.6 lc rgb "#c02020" title "short of it", \
	file using 3:0 with points pt 2 ps 1.4 lc rgb "black" title "the aim"
