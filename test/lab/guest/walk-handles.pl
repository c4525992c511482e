#!/usr/bin/perl
# Prints "TYPE HANDLE-IN-HEX PATH-IN-HEX" for everything below the folder $ARGV[0], on its file system
# only. Part of the lab's own reading of what the server did: it shares nothing with the product.
use strict;
use warnings;

my $NAME_TO_HANDLE_AT = 303;    # x86-64
my $AT_FDCWD          = -100;
my $root              = $ARGV[0];
my $device            = ( lstat $root )[0];

sub handle_of {
    my ($path) = @_;
    my $handle = pack 'L l x128', 128, 0;
    my $mount  = pack 'l', 0;
    my $status = syscall $NAME_TO_HANDLE_AT, $AT_FDCWD, $path, $handle, $mount, 0;
    die "name_to_handle_at $path: $!\n" if $status != 0;
    my ( $size, $type ) = unpack 'L l', $handle;
    return ( $type, unpack 'H*', substr $handle, 8, $size );
}

my @todo = ($root);
while ( defined( my $path = shift @todo ) ) {
    my @stat = lstat $path or next;
    next if $stat[0] != $device;
    my ( $type, $handle ) = handle_of($path);
    my $relative = substr $path, length $root;
    print "$type $handle ", unpack( 'H*', $relative ), "\n";
    next if !-d _;
    opendir my $folder, $path or die "$path: $!\n";
    push @todo, map {"$path/$_"} grep { $_ ne '.' && $_ ne '..' } readdir $folder;
    closedir $folder;
}
