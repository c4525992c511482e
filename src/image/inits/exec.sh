
mount_kernel_file_systems
check_image
restore_attributes
read_command_line
run_init "$@"
