
mount_kernel_file_systems
check_image
read_command_line
# The kernel hands words that it does not know to init; these were for this script.
for word; do
	shift
	case $word in
		shell | rambox) ;;
		*) set -- "$@" "$word" ;;
	esac
done
case $mode in
	shell)
		restore_attributes
		rescue "shell, as the kernel's command line says"
		;;
	rambox)
		restore_attributes
		run_init "$@"
		;;
	*)
		mount_root
		run_new_init "$@"
		;;
esac
